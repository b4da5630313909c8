"""NumPy steps, in place."""

import numpy as np


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
    maximize,
):
    a, b = scratch
    g = grad
    if maximize:
        g = np.negative(g, out=a)
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
    maximize,
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
        maximize,
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
    maximize,
):
    (a,) = scratch
    g = np.negative(grad, out=a) if maximize else grad
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
    maximize,
    t_above_3,
):
    a, b = scratch
    g = np.negative(grad, out=a) if maximize else grad
    m += one_minus_beta1 * (g - m)
    v += one_minus_beta2 * (g * g - v)
    np.sqrt(v, out=b)
    b *= v_scale
    b += eps
    if t_above_3:
        w -= (grad_scale * g + m_scale * m) / b
    else:
        w -= (grad_scale + m_scale) * g


def clipped_step(w, grad, scale, scratch, lr, beta, maximize):
    (a,) = scratch
    np.multiply(grad, -1.0 if maximize else 1.0, out=a)
    norm = np.sqrt(np.sum(a * a))
    scale[...] = beta * scale + (1 - beta) * norm
    a *= lr / (1 + scale)
    w -= a


def slow_step(w, grad, mean, scratch, lr, first_w, maximize):
    (a,) = scratch
    if not first_w:
        np.multiply(grad, -lr if maximize else lr, out=a)
        w -= a
    mean += 0.5 * (w - mean)
