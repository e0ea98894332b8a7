"""What happens before the first job: locks of a killed Snakemake go, and jobs get processes to fork from."""

import fcntl

from snakemake.logging import logger
from snakemake.shell import shell

from anatomy.cluster import orphans as cluster_orphans
from anatomy.sandbox import bubblewrap
import _forkserver


def clear_stale_locks():
    """Remove the locks that a killed Snakemake left behind, so that a rerun simply continues.

    The operating system holds the lock on our file for as long as the process lives, and no longer; while
    another Snakemake runs here, nothing is removed, its own locks protect it, and None is returned.
    ``--unlock`` would have to be asked for, and the option ``nolock`` would protect nobody.
    """
    state = Path(".snakemake")
    state.mkdir(exist_ok=True)
    held = (state / "running").open("w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    for lock in (state / "locks").glob("*.lock"):
        lock.unlink(missing_ok=True)
    return held


# A job's own Snakemake, on another node perhaps, leaves the locks of the one that sent it alone.
RUNNING = clear_stale_locks() if workflow.is_main_process else None


def fork_jobs():
    """Have jobs start as forks of servers that have imported their packages: one for models, one for the rest."""
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    found = {path.name: code_digest.foreign(path) for path in scripts}
    for script, package in (("table.py", "analyses"), ("figure.py", "figures")):
        for path in (ROOT / "scripts/anatomy" / package).rglob("*.py"):
            found[script] += code_digest.foreign(path)
    loaded = {
        name: sorted({(module, names) for module, names, loads in imports if loads})
        for name, imports in found.items()
    }
    models = {name for name, modules in loaded.items() if ("torch", ()) in modules}
    families = [
        {name: loaded[name] for name in loaded if (name in models) == with_models}
        for with_models in (False, True)
        if _forkserver.available(with_models)
    ]
    if families:
        command, workflow.job_servers = _forkserver.start(families, count=1)
        quoted = command.replace("{", "{{").replace("}", "}}")
        shell.prefix(f"set -euo pipefail; exec {quoted} ")


# Not where a study is only looked at (scripts/_snakemake.py).
if workflow.logger_manager:

    onstart:
        _patches.drop_default_rate(workflow)
        if (
            workflow.is_main_process
            and workflow.local_exec
            and values.has_programs(STUDY)
        ):
            try:
                bubblewrap.check_available()
            except AnatomyError as error:
                raise SystemExit(
                    f"error: {error}\nTo leave programs out of the study: make study PROGRAMS=False, or --config programs=False"
                )
        if (
            workflow.is_main_process
            and workflow.local_exec
            and not workflow.deployment_settings.deployment_method
        ):
            fork_jobs()
        if RUNNING and not workflow.local_exec:
            try:
                orphans = cluster_orphans.cancel_orphans(Path.cwd())
            except AnatomyError as error:
                raise SystemExit(f"error: {error}")
            if orphans:
                logger.info(
                    f"Cancelled Slurm jobs of a killed run: {', '.join(orphans)}"
                )
