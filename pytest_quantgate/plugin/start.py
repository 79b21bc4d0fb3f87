"""The beginning of a gated session: what cannot be right is refused before anything is collected."""

from __future__ import annotations

import atexit
import gc
import os
from contextlib import ExitStack

import pytest

from pytest_quantgate.checks.remembered import default_path, keep_in
from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.paths import cache_folder
from pytest_quantgate.plugin import ini_file, last_failed, only, values, xdist
from pytest_quantgate.plugin.resolve import resolve
from pytest_quantgate.plugin.session import RUN_KEY, QuantRun


def install(config: pytest.Config) -> None:
    """Check the options and register the run.

    Raises:
        pytest.UsageError: An option cannot be right, or pytest-xdist would start workers elsewhere.
    """
    role = xdist.role_of(config)
    ini_file.refuse_hidden(config)
    from pytest_quantgate.plugin.backends import placements, register_backends

    try:
        # What is wrong with the environment is refused now rather than after minutes of generation.
        cache_folder()
        if "SOURCE_DATE_EPOCH" in os.environ:
            from pytest_quantgate.report.model import timestamp

            timestamp()
        register_backends(config)
        settled = resolve(config)
        if settled.diagnose:
            from pytest_quantgate.plugin.diagnosis import register_architectures

            register_architectures(config)
        run = QuantRun(config, settled, placements(settled), role)
    except QuantgateError as error:
        raise pytest.UsageError(values.told(config, error)) from None
    findings = ExitStack()
    findings.enter_context(keep_in(default_path()))
    config.add_cleanup(findings.close)
    config.stash[RUN_KEY] = run
    config.pluginmanager.register(run, "quantgate-run")
    last_failed.install(run)
    only.install(run)
    config.pluginmanager.register(_loop(run), "quantgate-loop")
    if not gc.get_freeze_count():  # else it is somebody else's to give back
        config.add_cleanup(gc.unfreeze)  # another session of this process has other objects
    # Python looks for garbage several times more when a process ends, which takes long among the objects of many cases.
    atexit.register(gc.freeze)


def _loop(run: QuantRun) -> object:
    """What stands in for pytest's run loop, or around it."""
    if run.options.dry_run:
        from pytest_quantgate.plugin.dryrun import DryRun

        xdist.run_here(run.config)
        return DryRun(run)
    if run.role == "controller":
        return xdist.Controller(run)
    if run.role == "worker":
        from pytest_quantgate.plugin.worker import worker_of

        return worker_of(run)
    from pytest_quantgate.plugin.loop import Loop

    return Loop(run)
