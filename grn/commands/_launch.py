"""What all commands share: arguments fit for Hydra and a relaunch, the run's folder, errors as messages."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from grn._errors import InputError, on_the_command_line
from grn._libraries import is_out_of_memory, raised_in, said
from grn._lock import hold, holds, let_go
from grn._processes import forget_place, is_first_process, rank, settle_place
from grn.commands._stopping import Stopped, advise, how_to_go_on, stop_if_asked, stoppable
from grn.config import expand_paths, plain_config, prepare_override, validate
from grn.config.composing import explain
from grn.console import show_error
from grn.run_folder import claim, new_token, resumed, save_config, settle

_FULL_ERROR = "HYDRA_FULL_ERROR"
_FOLDER = Path(__file__).resolve().parent
# What gloo says when the process at the other end is gone.
_PEER_DIED = re.compile("Connection (closed|reset) by peer")
_BACKEND = "MPLBACKEND"
_full_error_is_ours = False


def launch(app: Callable[[], None], command: str) -> None:
    """Run a command's Hydra application on `sys.argv`; errors become one message and an exit code.

    `sys.argv[0]` becomes the path of the command's module, because Lightning starts further processes with
    ``python sys.argv[0] *sys.argv[1:]``, and options are moved before overrides, because it appends some.
    """
    global _full_error_is_ours
    new_token()
    options, overrides = split_arguments(sys.argv[1:])
    completing = {"-sc", "--shell-completion"} & set(options)
    if not completing:
        overrides = [prepare_override(override, command) for override in overrides]
        sys.argv[0] = str(_FOLDER / f"{command}.py")
    sys.argv[1:] = [*options, *overrides]
    if sys.path and Path(sys.path[0] or ".").resolve() == _FOLDER:
        # Run as a script: `import train` or `import export` anywhere must not find our modules.
        del sys.path[0]
    # Hydra then raises instead of printing; the task gets the user's own environment back.
    _full_error_is_ours = os.environ.get(_FULL_ERROR) != "1"
    if _full_error_is_ours:
        os.environ[_FULL_ERROR] = "1"
    unraisable, sys.unraisablehook = sys.unraisablehook, _no_echo
    # Commands draw into files. Jupyter exports a backend of its own to what its cells start, which may not be there.
    backend, os.environ[_BACKEND] = os.environ.get(_BACKEND), "agg"
    try:
        with stoppable(), on_the_command_line():
            app()
    except Exception as error:
        _fail(error, command, code=2)
    finally:
        sys.unraisablehook = unraisable
        os.environ.pop(_BACKEND)
        if backend is not None:
            os.environ[_BACKEND] = backend
        if _full_error_is_ours:
            os.environ.pop(_FULL_ERROR, None)
            _full_error_is_ours = False


def _no_echo(unraisable: Any) -> None:
    # Where HDF5 cannot write, h5py raises one error and, for every object of the file, prints another.
    if not str(unraisable.exc_value).startswith("Can't decrement id ref count"):
        sys.__unraisablehook__(unraisable)


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's options with their values, and the overrides, wherever each stood."""
    from hydra._internal.utils import get_args_parser

    overrides = list(get_args_parser().parse_intermixed_args(list(arguments)).overrides)
    waiting, options = list(overrides), []
    for argument in arguments:
        if waiting and argument == waiting[0]:
            waiting.pop(0)
        else:
            options.append(argument)
    if options and options[-1] in ("--info", "-i"):
        # Its value is optional: an override after it would be taken for one.
        options.append("all")
    return options, overrides


def task(function: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Hydra's task out of a function of the configuration: checked first, its errors printed as messages."""
    command = function.__name__

    @functools.wraps(function)
    def run(cfg: DictConfig) -> None:
        with _own_environment():
            try:
                _pin_relaunch()
                validate(cfg, command)
                expand_paths(cfg, command)
                settle_place(plain_config(cfg).get("trainer"))
                # Once imported, Lightning has a handler of its own; ours, on the root, gets its lines too.
                logging.getLogger("lightning").handlers.clear()
                function(cfg)
                _settle(failed=False)
            except (Stopped, KeyboardInterrupt):
                _settle(failed=True)
                raise
            except Exception as error:
                _settle(failed=True)
                stop_if_asked()
                _fail(error, command, code=1)
            finally:
                let_go(current_folder())
                forget_place()

    return run


def current_folder() -> Path:
    """Absolute folder of the current Hydra job."""
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def open_run(cfg: DictConfig) -> tuple[DictConfig, Path]:
    """Claim the current job's folder for a run and write the configuration there (the first process only).

    Returns the configuration, which is the run's own where a stopped run is resumed, and the folder.
    """
    from hydra.core.hydra_config import HydraConfig

    folder = current_folder()
    hydra: Any = HydraConfig.get()
    advise(how_to_go_on(hydra.job.name, folder, _way_to(folder), resumable="resume" in cfg))
    if cfg.get("resume", False):
        cfg = resumed(folder, cfg, hydra.overrides.task)
        validate(cfg, hydra.job.name)
        expand_paths(cfg, hydra.job.name)
    if is_first_process():
        hold(folder)
        claim(folder, overwrite=cfg.overwrite, resume=cfg.get("resume", False))
        if cfg.get("resume", False):
            return cfg, folder  # the run's record stays that of its start
        record = OmegaConf.masked_copy(OmegaConf.create({"hydra": hydra}), "hydra")
        # The configuration last: with it a run can be resumed, and then nothing of its record is to be missing.
        save_config(folder, {"hydra": record, "overrides": hydra.overrides.task, "config": cfg})
    return cfg, folder


def _way_to(folder: Path) -> str:
    """The override that leads to a run's folder again."""
    if folder.parent == Path.cwd() / "outputs":
        return f"name={folder.name}"
    return f"hydra.run.dir={folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"


@contextmanager
def _own_environment() -> Iterator[None]:
    """Undo what Lightning leaves in the environment, so that a sweep's next job starts its own processes."""
    before = dict(os.environ)
    if _full_error_is_ours:
        del os.environ[_FULL_ERROR]
    try:
        yield
    finally:
        for added in os.environ.keys() - before.keys():
            del os.environ[added]
        os.environ.update(before)


def _pin_relaunch() -> None:
    """In a sweep, let a relaunch repeat this job alone, in this job's folder."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra: Any = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return
    options, _ = split_arguments(sys.argv[1:])
    sys.argv[1:] = [*(one for one in options if one not in ("-m", "--multirun")), *hydra.overrides.task]
    with read_write(hydra), open_dict(hydra):
        hydra.run.dir = hydra.runtime.output_dir


def _settle(*, failed: bool) -> None:
    if holds(current_folder()):  # else it is another run's
        settle(current_folder(), failed=failed)
        let_go(current_folder())
    if failed:
        _remove_if_empty(current_folder())


def _remove_if_empty(folder: Path) -> None:
    # Hydra makes the folder before the task can refuse; without a run folder we stand in the user's own.
    if not Path.cwd().is_relative_to(folder):
        with suppress(OSError):
            folder.rmdir()


def _fail(error: Exception, command: str, code: int) -> NoReturn:
    """Print what went wrong and leave: one message for a user's error, the whole trace for a bug."""
    traced = "debug=trace" in sys.argv or (os.environ.get(_FULL_ERROR) == "1" and not _full_error_is_ours)
    hydras = isinstance(error, (HydraException, OmegaConfBaseException))
    peer_died = isinstance(error, RuntimeError) and bool(_PEER_DIED.search(str(error)))
    # Before the task runs, a bare ValueError is Hydra's too.
    users = isinstance(error, (InputError, OSError)) or (code == 2 and isinstance(error, ValueError))
    no_memory = is_out_of_memory(error)
    expected = hydras or peer_died or users or no_memory
    if traced or not expected:
        traceback.print_exception(error)
    process = "" if is_first_process() else f"process {rank()}: "
    if peer_died:
        text = "another process of this run stopped, so this one does too; the reason is in its own message"
    elif hydras:
        text = explain(error, command, split_arguments(sys.argv[1:])[1])
    elif no_memory:
        text = (
            f"the memory ran out ({said(error)}). Give fewer cells or genes, data.backed=true, a smaller "
            "training.batch_size, or a machine with more memory."
        )
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    elif expected:
        text = str(error)
    else:
        library = raised_in(error)
        fault = f"{library} raised this, and grn did not expect it" if library else "This is a bug in grn"
        text = f"{said(error)}\n{fault}, not in your input: please report it."
    show_error(f"{process}{text}")
    raise SystemExit(code) from error
