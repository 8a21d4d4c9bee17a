"""The settings that each peer is measured with; the best one counts, for each size anew.

They were found by trying what each peer offers; what never came near its best is not listed.
"""

import dataclasses

KIB, MIB = 1 << 10, 1 << 20
ALLREDUCE = "allreduce"
COLLECTIVES = (ALLREDUCE, "reduce_scatter", "allgather", "broadcast", "reduce", "alltoall", "gather", "scatter")


@dataclasses.dataclass(frozen=True)
class Setting:
    """Options for the launcher and variables for the ranks.

    Sizes below `least_bytes` are not measured with it, nor collectives other than `collective`, if there is one.
    """

    name: str
    options: tuple = ()
    environment: tuple = ()
    least_bytes: int = 0
    collective: str = None


def mca(**values):
    return tuple(word for name, value in values.items() for word in ("--mca", name, str(value)))


NO_CMA = mca(btl_vader_single_copy_mechanism="none")
NO_CMA_5 = mca(smsc="^cma")
RING = mca(coll_tuned_use_dynamic_rules=1, coll_tuned_allreduce_algorithm=5, coll_tuned_allreduce_algorithm_segmentsize=256 * KIB)
UCX = mca(pml="ucx", opal_common_ucx_tls="any", opal_common_ucx_devices="any")
# GID 0 is of the link; newer UCX does not believe that it can be reached unless told.
UCX_RANKS = (("UCX_IB_GID_INDEX", "0"), ("UCX_TLS", "rc_verbs,ud_verbs,self"), ("UCX_IB_ROCE_REACHABILITY_MODE", "all"))


def openmpi(fabric, oversubscribed):
    return openmpi_with(NO_CMA, fabric, oversubscribed)


def openmpi5(fabric, oversubscribed):
    return openmpi_with(NO_CMA_5, fabric, oversubscribed)


def openmpi_with(no_cma, fabric, oversubscribed):
    common = mca(mpi_yield_when_idle=1) if oversubscribed else ()
    if fabric == "rxe":
        return [
            Setting("UCX", UCX + common, UCX_RANKS),
            Setting("UCX, ring in segments", UCX + RING + common, UCX_RANKS, 256 * KIB, ALLREDUCE),
        ]
    return [
        Setting("default", common),
        Setting("no CMA", no_cma + common),
        Setting("no CMA, ring in segments", no_cma + RING + common, (), 256 * KIB, ALLREDUCE),
        Setting("coll sm", no_cma + mca(coll_sm_priority=100) + common),
    ]


# Why there is no setting for rxe.
OBSTACLES = {"mpich": "Debian's MPICH aborts in its first allreduce over libfabric's verbs"}


def mpich(fabric, oversubscribed):
    """Version 4.0 spins without yielding the core, and has no setting against it."""
    return [] if fabric == "rxe" else mpich_on_shm(())


def mpich5(fabric, oversubscribed):
    throttle = (("MPIR_CVAR_CH4_PROGRESS_THROTTLE", "1"), ("MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT", "100"))
    common = throttle if oversubscribed else ()
    if fabric == "shm":
        return mpich_on_shm(common)
    # Ranks of one machine would otherwise talk through shared memory.
    ucx = UCX_RANKS + (("MPIR_CVAR_CH4_NETMOD", "ucx"), ("MPIR_CVAR_NOLOCAL", "1")) + common
    ring = (("MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM", "ring"),)
    return [Setting("UCX", environment=ucx), Setting("UCX, ring", environment=ucx + ring, least_bytes=256 * KIB, collective=ALLREDUCE)]


def mpich_on_shm(common):
    scattered = (("MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM", "reduce_scatter_allgather"),)
    return [
        Setting("default", environment=common),
        Setting("composition 2", environment=(("MPIR_CVAR_ALLREDUCE_COMPOSITION", "2"),) + common, collective=ALLREDUCE),
        Setting("reduce-scatter and allgather", environment=scattered + common, collective=ALLREDUCE),
    ]


# Number in I_MPI_ADJUST_ALLREDUCE and the size from which it is worth trying; the second where ranks outnumber cores.
INTEL_ALGORITHMS = ((7, 4 * MIB), (8, 16 * MIB), (13, 64 * KIB), (21, 0), (23, 256 * KIB))
INTEL_ALGORITHMS_CROWDED = ((8, 16 * MIB), (10, 0), (13, 64 * KIB), (20, 0), (24, 256 * KIB), (25, 256 * KIB))


# Collectives inside a machine would otherwise go through shared memory.
INTEL_VERBS = (("I_MPI_FABRICS", "ofi"), ("FI_PROVIDER", "verbs;ofi_rxm"), ("I_MPI_COLL_INTRANODE", "pt2pt"))


def intel(fabric, oversubscribed):
    if fabric == "rxe":
        algorithms = (("recursive doubling", 1, 0), ("Rabenseifner", 2, 64 * KIB), ("ring", 8, 64 * KIB))
        return [Setting("default", environment=INTEL_VERBS)] + [
            Setting(name, environment=INTEL_VERBS + (("I_MPI_ADJUST_ALLREDUCE", str(number)),), least_bytes=least, collective=ALLREDUCE)
            for name, number, least in algorithms
        ]
    # It yields by itself where ranks outnumber cores.
    shm = (("I_MPI_FABRICS", "shm"),)
    numbered = [
        Setting(f"algorithm {number}", environment=shm + (("I_MPI_ADJUST_ALLREDUCE", str(number)),), least_bytes=least, collective=ALLREDUCE)
        for number, least in (INTEL_ALGORITHMS_CROWDED if oversubscribed else INTEL_ALGORITHMS)
    ]
    by_messages = [
        Setting("point to point", environment=shm + (("I_MPI_COLL_INTRANODE", "pt2pt"),), collective=collective)
        for collective in COLLECTIVES if collective != ALLREDUCE
    ]
    return [Setting("default", environment=shm), *numbered, *by_messages]


def oneccl(fabric, oversubscribed):
    # Over Intel MPI, which is far faster here than libfabric. A worker thread competes with its rank for the core; but where
    # ranks do so anyway, only workers yield.
    common = (("CCL_LOG_LEVEL", "error"), ("CCL_ATL_TRANSPORT", "mpi"))
    common += (("CCL_WORKER_OFFLOAD", "1"), ("CCL_YIELD", "sched_yield")) if oversubscribed else (("CCL_WORKER_OFFLOAD", "0"),)
    common += INTEL_VERBS if fabric == "rxe" else (("I_MPI_FABRICS", "shm"),)
    algorithms = ("ring", "recursive_doubling") if fabric == "rxe" else ("direct", "ring", "rabenseifner", "nreduce", "recursive_doubling")
    return [Setting(name.replace("_", " "), environment=common + (("CCL_ALLREDUCE", name),)) for name in algorithms]
