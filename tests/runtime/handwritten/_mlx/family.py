"""MLX steps, pure, and the host arithmetic as array code."""

import mlx.core as mx


def scaled(grad, scale_grad, grad_factor, grad_bound):
    if not scale_grad:
        return grad
    return mx.maximum(mx.minimum(grad_factor * grad, grad_bound), -grad_bound)


def adam_scalars(t, lr, beta1, beta2, eps):
    c1 = -mx.expm1(t * mx.log(mx.array(beta1, t.dtype)))
    c2 = -mx.expm1(t * mx.log(mx.array(beta2, t.dtype)))
    return {
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "step_size": lr / c1,
        "v_scale": mx.rsqrt(c2),
    }


adam_plain_scalars = adam_scalars


def adam_step(
    w,
    grad,
    m,
    v,
    v_max,
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
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    if use_weight_decay:
        g = g + weight_decay * w
    m = m + one_minus_beta1 * (g - m)
    v = v + one_minus_beta2 * (g * g - v)
    if amsgrad:
        v_max = mx.maximum(v_max, v)
    w = w - step_size * m / (mx.sqrt(v_max if amsgrad else v) * v_scale + eps)
    return w, m, v, v_max


def adam_plain_step(
    w,
    grad,
    m,
    v,
    one_minus_beta1,
    one_minus_beta2,
    step_size,
    v_scale,
    eps,
    scale_grad,
    grad_factor,
    grad_bound,
):
    return adam_step(
        w,
        grad,
        m,
        v,
        None,
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
    )[:3]


def sgd_step(
    w,
    grad,
    buf,
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
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    if use_weight_decay:
        g = g + weight_decay * w
    if not use_momentum:
        return w - lr * g, buf
    buf = g if first_buf else momentum * buf + (1 - dampening) * g
    return w - lr * (g + momentum * buf if nesterov else buf), buf


def nadam_scalars(t, lr, beta1, beta2, momentum_decay, mu_product):
    log = mx.log(mx.array(0.96, t.dtype))
    mu = beta1 * (1 - 0.5 * mx.exp(log * t * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * mx.exp(log * (t + 1) * momentum_decay))
    product = mu_product * mu
    return {
        "mu_product": product,
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "grad_scale": lr * (1 - mu) / (1 - product),
        "m_scale": lr * mu_next / (1 - product * mu_next),
        "v_scale": mx.rsqrt(-mx.expm1(t * mx.log(mx.array(beta2, t.dtype)))),
        "t_above_3": t > 3,
    }


def nadam_step(
    w,
    grad,
    m,
    v,
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
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    m = m + one_minus_beta1 * (g - m)
    v = v + one_minus_beta2 * (g * g - v)
    if t_above_3:
        w = w - (grad_scale * g + m_scale * m) / (mx.sqrt(v) * v_scale + eps)
    else:
        w = w - (grad_scale + m_scale) * g
    return w, m, v


def nadam_captured_step(
    w,
    grad,
    m,
    v,
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
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    m = m + one_minus_beta1 * (g - m)
    v = v + one_minus_beta2 * (g * g - v)
    late = w - (grad_scale * g + m_scale * m) / (mx.sqrt(v) * v_scale + eps)
    return mx.where(t_above_3, late, w - (grad_scale + m_scale) * g), m, v


def clipped_step(w, grad, scale, lr, beta, scale_grad, grad_factor, grad_bound):
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    scale = beta * scale + (1 - beta) * mx.sqrt(mx.sum(g * g))
    return w - g * (lr / (1 + scale)), scale


def slow_step(w, grad, mean, lr, first_w, scale_grad, grad_factor, grad_bound):
    g = scaled(grad, scale_grad, grad_factor, grad_bound)
    if not first_w:
        w = w - lr * g
    return w, mean + 0.5 * (w - mean)
