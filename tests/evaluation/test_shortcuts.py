import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from grn._errors import InputError
from grn.evaluation import SHORTCUTS, best_shortcut

GENES = pd.Index(list("ABCD"))
X = np.array([[1.0, 0.0, 4.0, 2.0], [3.0, 2.0, 4.0, 0.0]])  # means 2, 1, 4, 1; standard deviations 1, 1, 0, 1
TRUTH = pd.DataFrame({"source": ["A", "B"], "target": ["C", "A"]})


def test_by_hand():
    best, ratio, ratios = best_shortcut(X, GENES, pd.Index(["A", "B"]), TRUTH)
    assert list(ratios) == list(SHORTCUTS)
    assert len(ratios) == 8
    # Candidates in the order A-B, A-C, A-D, B-A, B-C, B-D; the second and the fourth are true.
    truth = [0, 1, 0, 1, 0, 0]
    expected = {
        "target is a TF": [1, 0, 0, 1, 0, 0],
        "target mean": [1, 4, 1, 2, 4, 1],
        "target std": [1, 0, 1, 1, 0, 1],
        "TF mean": [2, 2, 2, 1, 1, 1],
        "TF std": [1, 1, 1, 1, 1, 1],
        "TF mean x target mean": [2, 8, 2, 2, 4, 1],
        "TF mean x target is a TF": [2, 0, 0, 1, 0, 0],
        "target mean x target is a TF": [1, 0, 0, 2, 0, 0],
    }
    for name, scores in expected.items():
        assert ratios[name] == pytest.approx(average_precision_score(truth, scores) / (2 / 6)), name
    assert ratio == max(ratios.values())
    assert ratios[best] == ratio


def test_candidates_and_reference_are_checked():
    narrow = best_shortcut(X, GENES, pd.Index(["A", "B"]), TRUTH, candidates="reference_genes")[2]
    # Without D, which no edge of the reference reaches, chance is higher.
    assert narrow["TF std"] == 1
    assert narrow["target mean"] != best_shortcut(X, GENES, pd.Index(["A", "B"]), TRUTH)[2]["target mean"]
    with pytest.raises(InputError, match="None of the reference's 1 regulators"):
        best_shortcut(X, GENES, pd.Index(["A"]), pd.DataFrame({"source": ["Z"], "target": ["A"]}))


@pytest.mark.shared_data
def test_the_published_shortcut_of_mdc(shared_data):
    import anndata

    folder = shared_data / "mDC-500"
    adata = anndata.read_h5ad(folder / "expression.h5ad")
    tfs = pd.Index((folder / "tfs.txt").read_text().split())
    x = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X, dtype=float)
    _, ratio, _ = best_shortcut(x, pd.Index(adata.var_names), tfs, folder / "network.string.csv")
    # The prototype study had 1.96 with eight scores of its own, of which not all are written down.
    assert ratio == pytest.approx(1.96, abs=0.06)
