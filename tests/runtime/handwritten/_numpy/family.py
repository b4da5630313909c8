"""NumPy steps, in place."""

import numpy as np


def scaled(grad, out, scale_grad, grad_factor, grad_bound):
    if not scale_grad:
        return grad
    np.multiply(grad, grad_factor, out=out)
    return np.clip(out, -grad_bound, grad_bound, out=out)


def adam_step(
    w,
    grad,
    m,
    v,
    v_max,
    scratch,
    one_minus_beta1,
    one_minus_beta2,
    step_size,
    v_scale,
    eps,
    weight_decay,
    amsgrad,
    use_weight_decay,
    scale_grad,
    grad_factor,
    grad_bound,
):
    a, b = scratch
    g = scaled(grad, a, scale_grad, grad_factor, grad_bound)
    if use_weight_decay:
        np.multiply(w, weight_decay, out=b)
        g = np.add(g, b, out=a)
    # m[t] = m[t-1] + (1 - beta1) (g[t] - m[t-1])
    np.subtract(g, m, out=b)
    b *= one_minus_beta1
    m += b
    # v[t] = v[t-1] + (1 - beta2) (g[t]^2 - v[t-1])
    np.multiply(g, g, out=b)
    b -= v
    b *= one_minus_beta2
    v += b
    if amsgrad:
        np.maximum(v_max, v, out=v_max)
    np.sqrt(v_max if amsgrad else v, out=b)
    b *= v_scale
    b += eps
    np.divide(m, b, out=b)
    b *= step_size
    w -= b


def adam_plain_step(
    w,
    grad,
    m,
    v,
    scratch,
    one_minus_beta1,
    one_minus_beta2,
    step_size,
    v_scale,
    eps,
    scale_grad,
    grad_factor,
    grad_bound,
):
    adam_step(
        w,
        grad,
        m,
        v,
        None,
        scratch,
        one_minus_beta1,
        one_minus_beta2,
        step_size,
        v_scale,
        eps,
        0.0,
        False,
        False,
        scale_grad,
        grad_factor,
        grad_bound,
    )


def sgd_step(
    w,
    grad,
    buf,
    scratch,
    lr,
    momentum,
    dampening,
    weight_decay,
    use_momentum,
    use_weight_decay,
    first_buf,
    nesterov,
    scale_grad,
    grad_factor,
    grad_bound,
):
    (a,) = scratch
    g = scaled(grad, a, scale_grad, grad_factor, grad_bound)
    if use_weight_decay:
        g = np.add(weight_decay * w, g, out=a)
    if use_momentum:
        if first_buf:
            np.copyto(buf, g)
        else:
            np.multiply(buf, momentum, out=buf)
            np.add(buf, (1 - dampening) * g if dampening else g, out=buf)
        g = g + momentum * buf if nesterov else buf
    np.multiply(g, lr, out=a)
    np.subtract(w, a, out=w)


def nadam_step(
    w,
    grad,
    m,
    v,
    scratch,
    one_minus_beta1,
    one_minus_beta2,
    grad_scale,
    m_scale,
    v_scale,
    eps,
    scale_grad,
    grad_factor,
    grad_bound,
    t_above_3,
):
    a, b = scratch
    g = scaled(grad, a, scale_grad, grad_factor, grad_bound)
    m += one_minus_beta1 * (g - m)
    v += one_minus_beta2 * (g * g - v)
    np.sqrt(v, out=b)
    b *= v_scale
    b += eps
    if t_above_3:
        w -= (grad_scale * g + m_scale * m) / b
    else:
        w -= (grad_scale + m_scale) * g


def clipped_step(w, grad, scale, scratch, lr, beta, scale_grad, grad_factor, grad_bound):
    (a,) = scratch
    np.copyto(a, scaled(grad, a, scale_grad, grad_factor, grad_bound))
    norm = np.sqrt(np.sum(a * a))
    scale[...] = beta * scale + (1 - beta) * norm
    a *= lr / (1 + scale)
    w -= a


def slow_step(w, grad, mean, scratch, lr, first_w, scale_grad, grad_factor, grad_bound):
    (a,) = scratch
    if not first_w:
        np.multiply(lr, scaled(grad, a, scale_grad, grad_factor, grad_bound), out=a)
        w -= a
    mean += 0.5 * (w - mean)
