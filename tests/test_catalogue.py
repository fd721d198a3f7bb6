"""The catalogue of systems: rows and programs belong to each other, and what the commands do."""

import contextlib
import dataclasses
import importlib
import json
import pkgutil
import re

import pytest

import examples
from examples import catalogue, checks, records
from examples.__main__ import main
from examples.catalogue import ENTRIES, find, program
from examples.report import Row
from examples.run import Run

READY = [entry for entry in ENTRIES.values() if entry.program]


def modules():
    for module in pkgutil.walk_packages(examples.__path__, "examples."):
        if not module.name.startswith("examples.recipes") and not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def test_the_wave_is_whole():
    kinds = [entry.kind for entry in ENTRIES.values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"network": 64, "exact": 53, "algorithm": 98}


@pytest.mark.parametrize("entry", READY, ids=lambda entry: entry.id)
def test_every_row_names_a_program_that_was_written_for_it(entry):
    assert entry.id in entry.load().systems


def test_every_program_has_its_rows():
    lost = []
    for module in modules():
        for name, function in vars(module).items():
            if getattr(function, "systems", None) and getattr(function, "__module__", "") == module.__name__:
                path = f"{module.__name__.removeprefix('examples.')}.{name}"
                lost += [(path, system) for system in function.systems if ENTRIES[system].program != path]
    assert lost == []


def test_a_row_that_names_nothing_is_an_error():
    entry = catalogue.Entry("lecture/L1", "n", "exact", "g", "report.print_table", "", "")
    with pytest.raises(LookupError, match=r"lecture/L1 names report\.print_table, which is not a program for it"):
        entry.load()
    with pytest.raises(LookupError, match=r"lecture/L1 \(n\) has no program yet"):
        catalogue.Entry("lecture/L1", "n", "exact", "g", "", "", "").load()
    with pytest.raises(LookupError, match="has no row nobody/X1"):
        program("nobody/X1")


def test_unknown_systems_are_named():
    with pytest.raises(LookupError, match=r"no system or group 'lecture/l1'; did you mean lecture/L1"):
        find(["lecture/l1"])
    assert {entry.group for entry in find(["optimisers"])} == {"optimisers"}
    assert len(find(["lecture/L1", "lecture/L1"])) == 1
    with pytest.raises(LookupError, match=r"no system or group 'optimizers'; did you mean optimisers"):
        find(["optimizers"])
    with pytest.raises(LookupError, match=r"no system or group 'ekman/Q99'; did you mean ekman/"):
        find(["ekman/Q99"])
    with pytest.raises(LookupError, match=r"'xyzzy'; `python -m examples list` shows them"):
        find(["xyzzy"])


def test_verdicts():
    assert Row("a", "1", "1").verdict == "met"
    assert Row("a", "1", "2").verdict == "missed"
    assert Row("a", "1", "2", "another set").verdict == "compared"
    assert Row("a", "1", "2", wrong="1 + 1 is 2").verdict == "text wrong"
    assert Row("a", "0.9", "0.8", met=False).verdict == "missed"
    assert Row("a", "", "0.8").verdict == "shown"


def test_pictures_go_where_they_are_asked_for(tmp_path):
    run = Run("lecture/L1", out=tmp_path / "deep")
    with run.picture("curve", ncols=2) as (left, right):
        left.plot([1, 2])
        right.plot([2, 1])
    assert run.pictures == [tmp_path / "deep" / "lecture-L1-curve.png"]
    assert run.pictures[0].stat().st_size > 1000
    other = Run("lecture/L1", out=tmp_path, seed=2)
    with other.picture() as axes:
        axes.plot([1, 2])
    assert other.pictures == [tmp_path / "lecture-L1-seed2.png"]  # the first seed's picture stays
    silent = Run("lecture/L1")
    with silent.picture() as axes:
        axes.plot([1, 2])
    assert silent.pictures == []


def test_short_logarithmic_axes_have_plain_numbers_and_images_a_frame():
    with Run("lecture/L1").picture(ncols=3) as (short, long, image):
        short.semilogy([0.35, 2.3])
        long.semilogy([0.01, 20])
        image.imshow([[0, 1]])
        image.set(xticks=[], yticks=[])
    figure = short.figure
    figure.canvas.draw()
    labels = [[t.get_text() for t in ax.yaxis.get_ticklabels(which="both")] for ax in (short, long)]
    assert {"0.4", "1", "2"} <= set(labels[0])
    assert any("10^" in text for text in labels[1])
    assert image.spines.top.get_visible()
    assert not short.spines.top.get_visible()


@pytest.fixture
def one_program(monkeypatch, tmp_path):
    """A catalogue of one row, whose program is `examples.report.fake`; its rows are what the test puts there."""
    rows = [Row("value", "5.5", "5.5")]
    entry = catalogue.Entry("lecture/L1", "Forward mode", "exact", "ad-traces", "report.fake", "in text", "5.5")

    def fake(run):
        run.data = "in the text"
        return list(rows)

    fake.systems = ("lecture/L1",)
    monkeypatch.setattr("examples.report.fake", fake, raising=False)
    monkeypatch.setitem(ENTRIES, "lecture/L1", entry)
    monkeypatch.setattr(records, "FILE", tmp_path / "measured.json")
    monkeypatch.setattr(records, "PAGE", tmp_path / "RESULTS.md")
    return rows


def test_run_and_record_and_report(one_program, capsys, tmp_path):
    assert main(["run", "lecture/L1", "--seed", "0", "1", "--record", "--out", str(tmp_path)]) == 0
    assert "Data: in the text" in capsys.readouterr().out
    kept = json.loads(records.FILE.read_text())["lecture/L1"]
    assert list(kept) == ["quick cpu 0", "quick cpu 1"]
    assert kept["quick cpu 1"]["processor_seconds"] >= 0
    assert kept["quick cpu 1"]["rows"] == [{"name": "value", "reported": "5.5", "measured": "5.5"}]
    page = records.PAGE.read_text()
    assert "**met** - `python -m examples run lecture/L1`; seed 0, 1" in page
    assert "| value | 5.5 | 5.5 | the same |" in page
    one_program[0] = Row("value", "5.5", "5.4")
    assert main(["run", "lecture/L1", "--out", str(tmp_path)]) == 1


def test_several_seeds_are_summed_up(one_program, capsys, tmp_path):
    one_program[0] = Row("error", "0.5", "0.4", value=0.4, at_most=0.5)
    assert main(["run", "lecture/L1", "--seed", "0", "1", "--out", str(tmp_path)]) == 0
    assert "means of 2 seeds" in capsys.readouterr().out
    assert main(["run", "lecture/L1", "--seed", "1", "1", "1", "--out", str(tmp_path)]) == 0
    assert "means of" not in capsys.readouterr().out


def runs_of(*rows, full=True):
    return [records.Result("lecture/L1", list(line), seed, full, "cpu", "", 1.0) for seed, line in enumerate(rows)]


def accuracies(*values):
    return runs_of(*([Row("accuracy", "98 %", f"{100 * v:.1f} %", value=v, at_least=0.98)] for v in values))


def test_the_mean_of_at_least_three_seeds_decides_whether_a_target_is_met():
    status = {n: records.Record("network", accuracies(*[0.979, 0.982, 0.981][:n])).status for n in (1, 2, 3)}
    assert status == {1: "missed", 2: "reached", 3: "met"}
    assert records.Record("network", accuracies(0.979, 0.979, 0.981)).status == "missed"
    (row,) = records.Record("network", accuracies(0.979, 0.982, 0.981)).rows
    assert row.cells == ("accuracy", "98 %", "98.067 % (97.9 to 98.2)", "met (at least 0.98)")
    assert records.Record("algorithm", accuracies(0.981)).status == "met"


def test_what_should_always_hold_does_so_for_every_seed():
    same, other = [Row("count", "5", "5")], [Row("count", "5", "6")]
    assert records.Record("exact", runs_of(same, same)).status == "met"
    assert records.Record("exact", runs_of(same, other)).status == "missed"


def test_an_error_of_the_text_does_not_hide_the_other_rows():
    wrong, right, off = Row("sum", "5", "4", wrong="2 + 2"), Row("a", "1", "1"), Row("b", "1", "2")
    status = [records.Record("exact", runs_of(rows)).status for rows in ([wrong, right], [wrong], [wrong, right, off])]
    assert status == ["met, text wrong", "text wrong", "missed, text wrong"]


def test_a_network_that_was_trained_for_a_short_time_is_marked():
    rows = [Row("parameters", "5", "5"), Row("accuracy", "98 %", "60 %", "of one epoch", value=0.6)]
    assert records.Record("network", runs_of(rows, full=False)).status == "short"
    assert records.Record("network", accuracies(0.981, 0.981, 0.981)).status == "met"


def test_a_network_whose_tables_agree_is_not_met_without_its_result():
    rows = [Row("parameters", "5", "5"), Row("error", "15.3 %", "not measured", "the photos are not to be had")]
    assert records.Record("network", runs_of(rows)).status == "compared"
    assert records.Record("exact", runs_of(rows)).status == "compared"  # of digits all have to be checked
    assert records.Record("algorithm", runs_of(rows)).status == "met"


def test_a_part_of_a_schedule_counts_as_short_and_gives_way_to_the_whole(one_program, monkeypatch, tmp_path):
    def fake(run):
        epochs = run.length(2, 100)
        value = 0.9 if run.part == 1 else 0.99
        return [Row("accuracy", "98 %", f"{100 * value:.0f} %", f"{epochs} epochs", value=value, at_least=0.98)]

    fake.systems = ("lecture/L1",)
    monkeypatch.setattr("examples.report.fake", fake)
    monkeypatch.setitem(ENTRIES, "lecture/L1", dataclasses.replace(ENTRIES["lecture/L1"], kind="network"))
    common = ["run", "lecture/L1", "--record", "--out", str(tmp_path)]
    main(common)
    assert main([*common, "--full", "--part", "0.25"]) == 0
    page = records.PAGE.read_text()
    assert "**short** - `python -m examples run lecture/L1 --full --part 0.25`; seed 0" in page
    assert "| accuracy | 98 % | 99 % | 25 epochs |" in page
    assert main([*common, "--full"]) == 1
    assert "**missed** - `python -m examples run lecture/L1 --full`; seed 0" in records.PAGE.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--full", "--part", "0.1"], "lecture/L1 (Forward mode) has no long schedule to go through a part of"),
        (["--part", "0.1"], "--part is a part of --full: give both"),
        (["--full", "--part", "0"], "a share lies above 0 and goes up to 1, unlike '0'"),
        (["--full", "--part", "nan"], "unlike 'nan'"),
        (["--full", "--part", "half"], "unlike 'half'"),
    ],
)
def test_a_part_is_refused_where_there_is_none(one_program, capsys, tmp_path, options, message):
    with contextlib.suppress(SystemExit):
        assert main(["run", "lecture/L1", "--out", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


def test_why_a_target_is_missed_is_said_only_then():
    why = {"at_most": 2.0, "if_missed": "the text's network has a dead class"}
    assert Row("a", "2", "1", "10 steps", value=1, **why).cells[3] == "met (at most 2): 10 steps"
    assert Row("a", "2", "3", value=3, **why).cells[3] == "missed (at most 2); the text's network has a dead class"
    with pytest.raises(ValueError, match="'a': a target needs the value"):
        Row("a", "2", "3", at_most=2)


def test_the_mean_of_several_seeds():
    assert records._spread(["98.1 %", "98.3 %"]) == "98.2 % (98.1 to 98.3)"
    assert records._spread(["3", "3"]) == "3"
    assert records._spread(["1,728", "1,720"]) == "1,724 (1,720 to 1,728)"
    assert records._spread(["(1, 2)", "(1, 3)"]) == "(1, 2); (1, 3)"


def test_list_and_unknown_ids(capsys):
    assert main(["list", "--group", "optimisers", "--kind", "exact"]) == 0
    printed = capsys.readouterr().out
    assert printed.split()[:6] == ["id", "name", "group", "reported", "measured", "status"]
    assert "2 systems: 2 exact" in printed
    assert main(["list", "--group", "nothing"]) == 2
    assert "no system or group 'nothing'" in capsys.readouterr().err
    assert main(["run", "nothing"]) == 2
    assert "no system or group 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "{file}"], "--out {file}: "),
        (["--data-dir", "{file}/none"], "--data-dir {file}/none: there is no such folder"),
    ],
)
def test_folders_are_looked_at_before_anything_runs(one_program, capsys, tmp_path, options, message):
    file = tmp_path / "a_file"
    file.write_text("")
    options = [word.format(file=file) for word in options]
    assert main(["run", "lecture/L1", "--out", str(tmp_path), *options]) == 2
    assert message.format(file=file) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ModuleNotFoundError("No module named 'sklearn'", name="sklearn"), r"autodiff-engine\[examples\]"),
        (FileNotFoundError("MNIST was not found in x"), "Forward mode.: MNIST was not found in x"),
    ],
)
def test_a_package_or_data_that_are_missing_are_named(one_program, capsys, tmp_path, monkeypatch, problem, message):
    def fake(run):
        raise problem

    fake.systems = ("lecture/L1",)
    monkeypatch.setattr("examples.report.fake", fake)
    assert main(["run", "lecture/L1", "--out", str(tmp_path)]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_mistake_in_a_program_is_not_taken_for_a_system_that_is_missing(one_program, monkeypatch, tmp_path):
    def fake(run):
        return {}["key"]

    fake.systems = ("lecture/L1",)
    monkeypatch.setattr("examples.report.fake", fake)
    with pytest.raises(KeyError):
        main(["run", "lecture/L1", "--out", str(tmp_path)])


def test_ctrl_c_ends_a_run_quietly(one_program, capsys, monkeypatch, tmp_path):
    def fake(run):
        raise KeyboardInterrupt

    fake.systems = ("lecture/L1",)
    monkeypatch.setattr("examples.report.fake", fake)
    assert main(["run", "lecture/L1", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "Stopped; of this program nothing is kept.\n"


def test_a_seed_is_a_natural_number(capsys):
    with pytest.raises(SystemExit):
        main(["run", "lecture/L1", "--seed", "-1"])
    assert "a seed is a whole number from 0 on, not '-1'" in capsys.readouterr().err


def test_results_of_a_device_have_a_table_of_their_own(one_program, tmp_path):
    for device, rows in (("cpu", [Row("s", "0.1", "0.2")]), ("cuda", [Row("s", "0.1", "0.1")])):
        records.record(records.Result("lecture/L1", rows, 0, False, device, "", 1.0))
    page = records.render(tmp_path / "RESULTS.md").read_text()
    assert "**missed** - `python -m examples run lecture/L1`; seed 0" in page
    assert "**met** - `python -m examples run lecture/L1 --device cuda`; seed 0" in page
    assert "### lecture/L2:" in page
    assert "**not recorded** - reported:" in page


def test_the_check_of_one_program(capsys):
    assert main(["check", "ekman/P3", "--quick", "--jobs", "1"]) == 0
    assert "1 of 1 programs are right" in capsys.readouterr().out
    assert main(["check", "nothing"]) == 2
    assert "no system or group 'nothing'" in capsys.readouterr().err


def test_a_check_that_fails_says_why(one_program):
    assert checks.check_one("lecture/L1")[0] == ""
    one_program[0] = Row("value", "5.5", "5.4")
    assert checks.check_one("lecture/L1")[0] == "value: reported 5.5, measured 5.4"
    one_program.clear()
    assert checks.check_one("lecture/L1")[0] == "it returned no rows"


def test_a_device_that_a_program_cannot_use_is_refused(one_program, capsys):
    assert main(["run", "lecture/L1", "--device", "cuda"]) == 2
    assert capsys.readouterr().err == "lecture/L1 (Forward mode) runs on cpu, not on cuda\n"


def test_the_page_of_results_is_what_was_recorded(tmp_path):
    """If not: python -m examples report."""
    written = records.PAGE.read_text(encoding="utf-8")
    assert records.render(tmp_path / "RESULTS.md").read_text(encoding="utf-8") == written
