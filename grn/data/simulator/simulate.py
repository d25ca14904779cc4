"""Simulated counts with a known signed network: the network, its kinetics, the noise of measuring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from grn._errors import InputError, did_you_mean
from grn._log import logger
from grn.data.simulator.kinetics import Conditions, master_rates, simulate_cells
from grn.data.simulator.parameters import check_parameters
from grn.data.simulator.random_network import PlantedNetwork, random_network
from grn.data.simulator.technical_noise import add_technical_noise

if TYPE_CHECKING:
    from anndata import AnnData

CONTROL = "non-targeting"
_DEFAULT_RESIDUAL = 0.1


def simulate(
    n_cells: int = 3000,
    n_genes: int = 1000,
    n_tfs: int = 100,
    *,
    n_masters: int = 10,
    n_cell_types: int = 5,
    mean_regulators: float = 3.0,
    repression: float = 0.3,
    strength: tuple[float, float] = (1.0, 5.0),
    hill: float = 2.0,
    intrinsic_noise: float = 1.0,
    library_size: float = 2000.0,
    library_spread: float = 0.4,
    dropout: float = 0.3,
    outliers: float = 0.01,
    knockdowns: Sequence[str] | int | None = None,
    knockdown_residual: float | None = None,
    seed: int = 0,
) -> AnnData:
    """Simulate single-cell counts under a random signed network.

    Master regulators are produced at a rate that depends on the cell type; every other gene is produced
    under Hill control of its regulators and decays; the chemical Langevin equation adds intrinsic noise;
    the measurement adds outlier genes, library sizes, dropout and Poisson sampling. The equations, and the
    values below marked S, are those of SERGIO (Dibaeinia & Sinha 2020, Cell Systems 11:252); the degrees
    follow Guelzim et al. 2002 (Nat Genet 31:60). The implementation is independent, and cells and genes are
    simulated together.

    Parameters
    ----------
    n_cells
        Cells, shared equally among all pairs of cell type and perturbation.
    n_genes
        Genes, regulators included.
    n_tfs
        Regulators: TF1, TF2, ... The others are G1, G2, ...
    n_masters
        Regulators which none regulates. The network has no cycles.
    n_cell_types
        Cell types. They differ in the production rates of the masters: 0.2 to 2 or 2 to 4 per unit of time
        (S, DS3).
    mean_regulators
        Mean number of regulators of a regulated gene (geometric law, at least 1).
    repression
        Share of edges that repress (S, DS1: 0.31).
    strength
        Bounds of the maximal production rate that one edge contributes, concentration per unit of time (S:
        1 to 5).
    hill
        Hill coefficient (S: 2). The half-response of a regulator is its mean over the wild-type cell types
        (S).
    intrinsic_noise
        Amplitude of the Langevin noise (S: 1, a variance of about the mean); 0 for none.
    library_size
        Median expected UMI count of a cell, before dropout.
    library_spread
        Standard deviation of the logarithm of the library sizes (S, DS1: 0.4).
    dropout
        Mean chance that an entry is lost before sampling, 0 to less than 1; small ones are lost first (S:
        logistic).
    outliers
        Share of genes expressed far above the rest (S: 0.01).
    knockdowns
        Regulators to knock down, by name, or how many to draw at random among those with targets.
    knockdown_residual
        Share of its production that a knocked-down regulator keeps, 0.1 unless given; needs `knockdowns`.
    seed
        The network, the cells and the measurement have a random stream each: changing the measurement changes
        neither the network nor the concentrations.

    Returns
    -------
    AnnData
        ``(cells, genes)``: ``X`` and ``layers["counts"]`` UMI counts (sparse float32); ``layers["true"]``
        concentrations before measuring (dense float32); ``obs["cell_type"]``; ``obs["perturbation"]`` where
        there are knock-downs ("non-targeting" or the regulator's name); ``var["is_tf"]``,
        ``var["is_master"]``; ``uns["reference"]`` the network (source, target, sign); ``uns["simulation"]``
        the parameters.

    Raises
    ------
    InputError
        A value out of range, or a knock-down of an unknown gene, of a gene that regulates nothing, or named
        twice.
    TypeError
        A value of the wrong type.

    Examples
    --------
    >>> import grn
    >>> adata = grn.datasets.simulated(n_cells=200, n_genes=50, n_tfs=10, n_masters=3, seed=1)
    >>> adata.uns["reference"].columns.tolist()
    ['source', 'target', 'sign']
    """
    parameters = dict(locals())
    check_parameters(parameters)
    import pandas as pd
    from anndata import AnnData

    residual = _DEFAULT_RESIDUAL if knockdown_residual is None else float(knockdown_residual)
    for_network, for_conditions, for_cells, for_counts = np.random.SeedSequence(int(seed)).spawn(4)
    network = random_network(
        np.random.default_rng(for_network),
        n_genes=n_genes,
        n_tfs=n_tfs,
        n_masters=n_masters,
        mean_regulators=mean_regulators,
        repression=repression,
        strength=(float(strength[0]), float(strength[1])),
    )
    rng = np.random.default_rng(for_conditions)
    rates = master_rates(rng, n_masters, n_cell_types)
    knocked = _resolve_knockdowns(knockdowns, network, rng)
    states = len(knocked) + 1
    if n_cells < n_cell_types * states:
        raise InputError(
            f"n_cells={n_cells} cannot fill {n_cell_types} cell types x {states} perturbations (control "
            f"included); ask for {n_cell_types * states} cells or more, fewer types or fewer knock-downs."
        )
    cells = np.arange(n_cells)
    kind, state = cells % n_cell_types, cells // n_cell_types % states
    conditions = Conditions(rates, np.array([-1, *knocked]), residual)
    clean = simulate_cells(
        network, conditions, kind, state, hill=float(hill), noise=float(intrinsic_noise), seed=for_cells
    )
    counts = add_technical_noise(
        clean,
        np.random.default_rng(for_counts),
        library_size=float(library_size),
        library_spread=float(library_spread),
        dropout=float(dropout),
        outliers=float(outliers),
    )

    names = network.gene_names
    parameters["strength"] = [float(bound) for bound in strength]
    types = [f"type{i + 1}" for i in range(n_cell_types)]
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical.from_codes(kind, pd.Index(types))},
        index=[f"cell{i + 1}" for i in cells],
    )
    if knocked:
        parameters["knockdowns"] = [names[gene] for gene in knocked]
        parameters["knockdown_residual"] = residual
        obs["perturbation"] = pd.Categorical.from_codes(state, pd.Index([CONTROL, *parameters["knockdowns"]]))
    position = np.arange(n_genes)
    var = pd.DataFrame({"is_tf": position < n_tfs, "is_master": position < n_masters}, index=names)
    adata = AnnData(X=counts, obs=obs, var=var, layers={"counts": counts.copy(), "true": clean})
    adata.uns["reference"] = network.edges()
    # What is None has no effect, and h5ad files cannot hold it.
    adata.uns["simulation"] = {
        name: np.asarray(value) if isinstance(value, list) else value
        for name, value in parameters.items()
        if value is not None
    }
    logger.info(
        "simulated %d cells x %d genes, %d edges (%d repress), %.0f %% zeros",
        n_cells,
        n_genes,
        len(adata.uns["reference"]),
        int((adata.uns["reference"]["sign"] < 0).sum()),
        100 * (1 - counts.nnz / (n_cells * n_genes)),
    )
    return adata


def _resolve_knockdowns(
    knockdowns: Sequence[str] | int | None, network: PlantedNetwork, rng: np.random.Generator
) -> list[int]:
    """Positions of the regulators to knock down, in the order given (drawn ones ascending)."""
    if knockdowns is None:
        return []
    regulating = np.flatnonzero(network.strength.any(axis=1))
    if isinstance(knockdowns, (int, np.integer)):
        if not 1 <= knockdowns <= len(regulating):
            raise InputError(
                f"knockdowns={knockdowns}: this network has {len(regulating)} regulators with targets; give "
                f"a number from 1 to {len(regulating)}, names such as ['TF1'], or None for no knock-down."
            )
        return sorted(int(gene) for gene in rng.choice(regulating, size=int(knockdowns), replace=False))
    tf_names = network.gene_names[: len(network.strength)]
    able = {tf_names[i] for i in regulating}
    for position, name in enumerate(knockdowns):
        if name not in tf_names:
            raise InputError(
                f"knockdowns: {name!r} is not a regulator; they are {tf_names[0]} to {tf_names[-1]}."
                + did_you_mean(str(name), tf_names)
            )
        if name not in able:
            raise InputError(
                f"knockdowns: {name} regulates nothing in the network of this seed; choose another regulator "
                "or another seed."
            )
        if name in knockdowns[:position]:
            raise InputError(f"knockdowns: {name} is named twice; name each regulator once.")
    if not knockdowns:
        raise InputError("knockdowns is empty; name regulators such as ['TF1'], or give None for no knock-down.")
    return [tf_names.index(name) for name in knockdowns]
