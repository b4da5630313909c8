"""Adam and SGD as torch computes them, one parameter at a time, in plain NumPy."""

import numpy as np


def adam(w, grads, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0, amsgrad=False, sign=1.0):
    w, m, v, v_max = w.copy(), np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, grad in enumerate(grads, 1):
        g = sign * grad + decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        v_max = np.maximum(v_max, v)
        m_hat, v_hat = m / (1 - beta1**t), (v_max if amsgrad else v) / (1 - beta2**t)
        w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    return w


def sgd(w, grads, lr=1e-3, momentum=0.0, dampening=0.0, decay=0.0, nesterov=False, sign=1.0):
    w, buf = w.copy(), None
    for grad in grads:
        g = sign * grad + decay * w
        if momentum:
            buf = g if buf is None else momentum * buf + (1 - dampening) * g
            g = g + momentum * buf if nesterov else buf
        w = w - lr * g
    return w
