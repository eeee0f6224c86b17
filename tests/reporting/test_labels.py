from genexp.reporting.labels import Described, labels


def described(*overrides, name="ring8_gan", choices=None, **config):
    given = dict(word.split("=") for word in overrides)
    flat = {key.replace("__", "."): value for key, value in config.items()}
    groups = {"experiment": "ring8_gan", "loss": "hinge", **(choices or {})}
    groups |= {key: value for key, value in given.items() if key in ("loss", "penalty", "model")}
    return Described("0123456789ab", name, groups, overrides, flat)


def test_one_setting_is_called_like_its_runs():
    assert labels([described("loss=hinge", "max_steps=3")]) == ["ring8_gan"]


def test_only_what_differs_is_named():
    settings = [
        described(f"loss={loss}", f"penalty={penalty}", "max_steps=300", loss__name=loss, max_steps=300)
        for loss in ("hinge", "wasserstein")
        for penalty in ("gp", "r1")
    ]
    assert labels(settings) == [
        f"loss={loss} penalty={penalty}" for loss in ("hinge", "wasserstein") for penalty in ("gp", "r1")
    ]


def test_keys_that_follow_from_an_option_are_not_named_and_others_are():
    settings = [
        described("loss=hinge", loss__target="Hinge", optimizer__lr=1e-4),
        described("loss=wasserstein", loss__target="Wasserstein", optimizer__lr=1e-4),
        described("loss=wasserstein", "optimizer.lr=2e-4", loss__target="Wasserstein", optimizer__lr=2e-4),
    ]
    assert labels(settings) == [
        "loss=hinge optimizer.lr=0.0001",
        "loss=wasserstein optimizer.lr=0.0001",
        "loss=wasserstein optimizer.lr=0.0002",
    ]


def test_copies_of_a_swept_value_are_named_once():
    settings = [described(f"optimizer.lr={lr:g}", optimizer__lr=lr, model__lr=lr) for lr in (1e-4, 2e-4)]
    assert labels(settings) == ["optimizer.lr=0.0001", "optimizer.lr=0.0002"]


def test_the_models_copy_of_another_group_is_not_named():
    settings = [
        Described(id * 12, "x", {"loss": "hinge"}, [], {"model.penalties.r1.weight": w, "penalty.r1.weight": w})
        for id, w in (("a", 0.1), ("b", 1.0))
    ]
    assert labels(settings) == ["penalty.r1.weight=0.1", "penalty.r1.weight=1"]


def test_several_options_of_a_group_are_a_list():
    one = {"penalty.gp._target_": "GP", "penalty.gp.weight": 1.0}
    both = {"penalty.r1._target_": "R1", "penalty.r2._target_": "R2"}
    settings = [
        Described("a" * 12, "x", {"penalty": "gp"}, ["penalty=gp"], one),
        Described("b" * 12, "x", {}, ["penalty=[r1,r2]"], both),
        Described("c" * 12, "x", {}, [], {"penalty.r1._target_": "R1"}),
    ]
    assert labels(settings) == ["penalty=gp", "penalty=[r1,r2]", "penalty=[r1]"]


def test_what_changes_nothing_is_not_named():
    settings = [
        described("loss=hinge", "logger=none", "paths.output=a", "seed=1", logger__x=1, paths__output="a", seed=1),
        described("loss=wasserstein", "logger=wandb", "paths.output=b", logger__x=2, paths__output="b", seed=0),
    ]
    assert labels(settings) == ["loss=hinge", "loss=wasserstein"]


def test_without_overrides_the_choices_and_the_config_tell():
    settings = [
        Described("a" * 12, "x", {"loss": "hinge"}, [], {"loss.t": "H", "optimizer.betas": [0.0, 0.9]}),
        Described("b" * 12, "x", {"loss": "wasserstein"}, [], {"loss.t": "W", "optimizer.betas": [0.0, 0.9]}),
        Described("c" * 12, "x", {"loss": "hinge"}, [], {"loss.t": "H", "optimizer.betas": [0.5, 0.9]}),
    ]
    assert labels(settings) == [
        "loss=hinge optimizer.betas=[0.0,0.9]",
        "loss=wasserstein optimizer.betas=[0.0,0.9]",
        "loss=hinge optimizer.betas=[0.5,0.9]",
    ]


def test_labels_are_never_equal():
    same = [Described(id, "x", {}, [], {"a": 1}) for id in ("a" * 12, "b" * 12)]
    assert labels(same) == ["(aaaaaa)", "(bbbbbb)"]
