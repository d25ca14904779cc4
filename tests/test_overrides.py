"""What a user types arrives as it was typed: names are text, whatever Hydra's grammar or YAML would make of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grn._errors import InputError
from grn.config import compose, plain_config, validate
from grn.config.overrides import prepare_override, text_settings
from grn.config.schema import COMMANDS

LIKE_SOMETHING_ELSE = (
    *(
        "0",
        "1",
        "01",
        "1.0",
        "1_000",
        "1e5",
        "-1",
        "true",
        "False",
        "on",
        "no",
        "nan",
        "inf",
        "-inf",
        "NA",
        "None",
        "~",
    ),
    *(
        "CD4/CD8",
        "a b",
        "a:b",
        "a=b",
        "$x",
        "1-Mar",
        "x#y",
        "ü",
        "(x)",
        "it's",
        'say "x"',
        "a\\",
        "[x] y",
        "{x} y",
        "=1+1",
    ),
)
GIVEN = {
    "export": ["network=n.tsv", "output=o.tsv"],
    "evaluate": ["network=n.tsv", "reference=r.csv"],
    "compare": ["network=n.tsv", "other=m.tsv"],
    "activity": ["network=n.tsv", "data=pbmc68k", "output=a.csv"],
    "perturb": ["network=n.tsv", "data=pbmc68k", "output=p.tsv", "ko=[A]"],
    "differential": ["data=pbmc68k", "group_by=x", "output=d.tsv"],
}


@pytest.mark.parametrize("command", sorted(GIVEN))
@pytest.mark.parametrize("name", ["1", "true", "1_000"])
def test_groups_that_look_like_something_else(command: str, name: str) -> None:
    cfg = compose(command, [*GIVEN[command], f"group={name}"])
    validate(cfg, command)
    assert cfg.group == name


@pytest.mark.parametrize("name", LIKE_SOMETHING_ELSE)
def test_every_name_arrives_as_typed(name: str) -> None:
    cfg = compose("differential", [*GIVEN["differential"], f"group={name}", f"reference={name}x"])
    assert (cfg.group, cfg.reference) == (name, f"{name}x")


def test_null_leaves_an_optional_setting_out_and_can_be_meant() -> None:
    assert compose("export", [*GIVEN["export"], "group=null"]).group is None
    assert compose("export", [*GIVEN["export"], 'group="null"']).group == "null"
    # Where nothing can be left out, null is a name like any other.
    assert compose("differential", [*GIVEN["differential"], "reference=null"]).reference == "null"


@pytest.mark.parametrize(
    ("given", "genes"), [("1", "1"), ("[1,01,TRUE]", ["1", "01", "TRUE"]), ('["a,b",c]', ["a,b", "c"])]
)
def test_genes_are_text(given: str, genes: Any) -> None:
    cfg = plain_config(compose("perturb", ["network=n.tsv", "data=pbmc68k", "output=p.tsv", f"ko={given}"]))
    validate(cfg, "perturb")
    assert cfg["ko"] == genes


def test_settings_of_a_reader_are_text_too() -> None:
    cfg = compose(
        "train",
        ["data=h5ad", "data.path=1", "data.gene_names=2", "data.layer=3", "dynamics=time", "dynamics.columns=4"],
    )
    assert (cfg.data.path, cfg.data.gene_names, cfg.data.layer, cfg.dynamics.columns) == ("1", "2", "3", "4")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_numbers_stay_numbers(command: str) -> None:
    """Only what holds nothing but text is quoted."""
    for key in ("seed", "top", "fdr", "network.fdr", "training.noise", "workers", "trainer.devices"):
        assert key not in text_settings(command)
    assert prepare_override("seed=1", command) == "seed=1"


def test_sweeps_and_choices_stay_what_they_are() -> None:
    for override in ("name=a,b", "tf=human,mouse", "name=choice(a,b)", "data=h5ad", "+group_by=glob(*)"):
        assert prepare_override(override) == override


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=",$"), min_size=1))
def test_any_text_arrives_as_typed(name: str) -> None:
    """All but commas, which separate runs, interpolations, and what begins with a quote: these a user quotes."""
    if name[0] in "'\"" or name == "null" or name != name.strip() or (name[0] in "[{" and name[-1] in "]}"):
        return
    from hydra.core.override_parser.overrides_parser import OverridesParser

    prepared = prepare_override(f"group={name}", "export")
    parsed = OverridesParser.create().parse_override(prepared)
    if not parsed.is_sweep_override():
        value = parsed.value()
        assert (value if isinstance(value, str) else value.text) == name


@pytest.mark.parametrize(
    ("override", "advice"),
    [
        ("data.path=a,b.h5ad", r"""quote it twice: 'data.path="a,b.h5ad"'"""),
        ("data.path=[x]", r"does not fit|quote it twice"),
        ("seed", "key=value"),
    ],
)
def test_what_the_grammar_takes_apart_is_explained(override: str, advice: str) -> None:
    with pytest.raises(InputError, match=advice):
        validate(compose("train", ["data=h5ad", override]))
