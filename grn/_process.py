"""What a library call must leave in the user's process as it found it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Give back on leaving what other libraries set for the whole process while the block ran.

    Lightning turns deterministic algorithms on and fills new memory with NaN from then on, draws from PyTorch's
    random numbers, and sets variables of the environment; compiled loops set the number of threads. The block may
    do all of it; afterwards these are as before, also where it raised:

    - random numbers of Python, NumPy and PyTorch (also of a GPU that was in use);
    - PyTorch's deterministic mode, number of threads, default type, precision of matrix products, cuDNN's settings;
    - filters of warnings, environment variables, handlers of signals, the working folder, `sys.path`.
    """
    with ExitStack() as given_back:
        given_back.enter_context(warnings.catch_warnings())
        for restore in (_random_numbers(), _torch_settings(), _surroundings()):
            given_back.callback(restore)
        yield


def _random_numbers() -> Callable[[], None]:
    import numpy as np
    import torch

    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if gpus is not None:
            torch.cuda.set_rng_state_all(gpus)

    return restore


def _torch_settings() -> Callable[[], None]:
    import torch

    deterministic, warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    threads, dtype, precision = torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    benchmark, cudnn_deterministic = cudnn.benchmark, cudnn.deterministic

    def restore() -> None:
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_float32_matmul_precision() != precision:
            torch.set_float32_matmul_precision(precision)
        cudnn.benchmark, cudnn.deterministic = benchmark, cudnn_deterministic

    return restore


def _surroundings() -> Callable[[], None]:
    environment, path, folder = dict(os.environ), list(sys.path), os.getcwd()  # noqa: PTH109
    # Only the main thread may set handlers; in others nothing can have changed them.
    main = threading.current_thread() is threading.main_thread()
    handlers: dict[signal.Signals, Any] = (
        {number: signal.getsignal(number) for number in signal.valid_signals() if isinstance(number, signal.Signals)}
        if main
        else {}
    )

    def restore() -> None:
        for added in os.environ.keys() - environment.keys():
            del os.environ[added]
        for name, value in environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value
        sys.path[:] = path
        if os.getcwd() != folder:  # noqa: PTH109
            os.chdir(folder)
        for number, handler in handlers.items():
            # None: it was set outside of Python, and Python can neither tell nor set it.
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return restore
