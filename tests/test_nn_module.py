"""Layers as dataclasses and trees: fields, state, gradients, printing, pickling, comparison."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import nn
from autodiff import grad, hessian, jvp, stop_gradient, tree, value_and_grad
from autodiff.core.tracer import Tracer


class Line(nn.Layer):
    weight: np.ndarray = nn.parameter()
    bias: np.ndarray = nn.parameter(decay=False)
    power: int = nn.static(default=1)

    def __call__(self, x):
        return (x @ self.weight + self.bias) ** self.power


class Mean(nn.Layer):
    """Subtracts a running mean, which it keeps in its state."""

    mean: np.ndarray = nn.state()
    count: int = nn.state()

    def forward(self, x, *, train=False, rng=None):
        if not train:
            return x - self.mean, self
        mean = np.mean(x, axis=0)
        return x - mean, nn.replace(self, mean=(self.mean + mean) / 2, count=self.count + 1)


class Net(nn.Layer):
    parts: list
    scale: np.ndarray = nn.parameter()
    extra: dict = nn.parameter(default=None)

    def forward(self, x, *, train=False, rng=None):
        parts = []
        for part in self.parts:
            x, new = nn.apply(part, x, train=train, rng=rng)
            parts.append(new)
        return x * self.scale, nn.replace(self, parts=parts)


def line():
    return Line(np.array([1.0, 2.0]), np.array(3.0))


def net():
    return Net([line(), Mean(np.array(0.5), 0)], np.array(2.0))


def loss(model, batch, *, train, rng):
    y, new_model = nn.apply(model, batch, train=train, rng=rng)
    return np.sum(y**2), new_model


X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])


# -- trees ---------------------------------------------------------------------------------------------------


def test_a_layer_is_a_dataclass_and_a_tree():
    model = line()
    assert dataclasses.is_dataclass(model)
    assert [path for path, _ in tree.paths(model)] == [".weight", ".bias"]
    doubled = tree.map(lambda x: 2 * x, model)
    assert type(doubled) is Line
    assert doubled == Line(np.array([2.0, 4.0]), np.array(6.0))
    assert tree.structure(nn.replace(model, power=2)) != tree.structure(model)


def test_names_and_roles_are_in_the_order_of_the_leaves():
    model = Net([line(), {"a.b": Mean(np.array(0.5), 0)}], np.array(2.0), {"x": (np.array(1.0), np.array(2.0))})
    found = nn.named_leaves(model)
    assert [leaf.value is value for leaf, value in zip(found, tree.leaves(model), strict=True)] == [True] * 7
    assert [(leaf.name, leaf.role, leaf.decay) for leaf in found] == [
        ("parts.0.weight", "parameter", True),
        ("parts.0.bias", "parameter", False),
        ("parts.1.a.b.mean", "state", True),
        ("parts.1.a.b.count", "state", True),
        ("scale", "parameter", True),
        ("extra.x.0", "parameter", True),
        ("extra.x.1", "parameter", True),
    ]
    assert list(nn.states(model)) == ["parts.1.a.b.mean", "parts.1.a.b.count"]
    assert nn.count_parameters(model) == 2 + 1 + 1 + 2
    assert nn.parameters({"w": np.zeros(2), "b": [1.0]}).keys() == {"w", "b.0"}
    assert nn.parameters(np.zeros(2)).keys() == {""}


def test_layers_inside_state_are_state():
    class Teacher(nn.Layer):
        teacher: Line = nn.state()
        student: Line

        def __call__(self, x):
            return self.student(x) - self.teacher(x)

    model = Teacher(line(), line())
    assert list(nn.parameters(model)) == ["student.weight", "student.bias"]
    g = grad(lambda m: np.sum(m(X) + m.student(X)))(model)
    np.testing.assert_array_equal(g.teacher.weight, [0.0, 0.0])
    np.testing.assert_array_equal(g.student.weight, 2 * X.sum(axis=0))


# -- derivatives ---------------------------------------------------------------------------------------------


def test_value_and_grad_of_a_loss():
    (value, new), g = value_and_grad(loss, has_aux=True)(net(), X, train=True, rng=None)
    u = X @ [1.0, 2.0] + 3.0
    centred = u - u.mean()
    assert value == pytest.approx(np.sum((2 * centred) ** 2), rel=1e-14)
    np.testing.assert_allclose(g.scale, 2 * 2 * np.sum(centred**2), rtol=1e-14)
    np.testing.assert_allclose(g.parts[0].weight, 8 * (X - X.mean(axis=0)).T @ centred, rtol=1e-13)
    np.testing.assert_allclose(g.parts[0].bias, 0.0, atol=1e-13)
    assert new.parts[1].mean == (0.5 + u.mean()) / 2
    assert new.parts[1].count == 1
    assert all(isinstance(leaf, (np.ndarray, np.generic, int)) for leaf in tree.leaves(new))
    assert new.parts[0].weight.base is None
    assert new.parts[0] == line()


def test_a_gradient_is_a_model_with_zeros_for_state():
    model = net()
    g = grad(loss, has_aux=True)(model, X, train=False, rng=None)[0]
    assert type(g) is Net
    assert tree.structure(g) == tree.structure(model)
    assert (g.parts[1].mean, g.parts[1].count) == (0.0, 0)
    stepped = tree.map(lambda p, d: p - 0.1 * d, model, g)
    assert stepped.parts[1].mean == model.parts[1].mean
    assert stepped.scale == 2.0 - 0.1 * g.scale


def test_state_is_never_traced():
    seen = []

    class Spy(nn.Layer):
        w: float = nn.parameter()
        s: float = nn.state()

        def forward(self, x, *, train=False, rng=None):
            seen.append((isinstance(self.w, Tracer), isinstance(self.s, Tracer)))
            new = nn.replace(self, s=self.w * x)
            assert not isinstance(new.s, Tracer)
            return self.w**3 * x * self.s, new

    model = Spy(np.float64(2.0), np.float64(5.0))

    def f(m):
        return nn.apply(m, 3.0, train=True)[0]

    assert grad(f)(model) == Spy(np.float64(3 * 4 * 15), np.float64(0))
    tangent = jvp(f, (model,), (Spy(np.float64(1.0), np.float64(7.0)),))[1]
    assert tangent == 3 * 4 * 15
    second = jvp(grad(f), (model,), (Spy(np.float64(1.0), np.float64(7.0)),))[1]
    assert second == Spy(np.float64(6 * 2 * 15), np.float64(0))
    assert hessian(f)(model).w.w == 6 * 2 * 15
    assert set(seen) == {(True, False)}


def test_new_state_comes_out_of_every_transform_as_plain_arrays():
    def inner(model):
        (value, new), g = value_and_grad(loss, has_aux=True)(model, X, train=True, rng=None)
        assert not isinstance(new.parts[1].mean, Tracer)
        return np.sum(g.scale) + value, new

    (_, new), _ = value_and_grad(inner, has_aux=True)(net())
    assert isinstance(new.parts[1].mean, np.floating)


def test_integers_pass_through():
    class Index(nn.Layer):
        table: np.ndarray = nn.parameter()
        index: np.ndarray = nn.parameter()

        def __call__(self, x):
            return x * self.table[self.index]

    g = grad(lambda m: np.sum(m(2.0)))(Index(np.arange(3.0), np.array([1, 1])))
    np.testing.assert_array_equal(g.table, [0.0, 4.0, 0.0])
    assert g.index.dtype == np.int64
    np.testing.assert_array_equal(g.index, [0, 0])


# -- apply ---------------------------------------------------------------------------------------------------


def test_calling_a_layer_is_use():
    model = net()
    y = model(X)
    np.testing.assert_array_equal(y, 2 * (X @ [1.0, 2.0] + 3.0 - 0.5))
    assert nn.apply(model, X)[0].tolist() == y.tolist()
    assert nn.apply(model, X)[1] == model


def test_apply_changes_nothing_that_it_is_given():
    model = net()
    before = copy.deepcopy(model)
    _, new = nn.apply(model, X, train=True)
    assert model == before
    assert new != model


def test_functions_are_models():
    assert nn.apply(np.square, 3.0, train=True) == (9.0, np.square)


def test_seeds_are_generators():
    layer = nn.Dropout(0.5)
    a, _ = nn.apply(layer, np.ones(20), train=True, rng=5)
    b, _ = nn.apply(layer, np.ones(20), train=True, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(a, b)


def test_apply_refuses():
    with pytest.raises(TypeError, match=r"apply: rng must be a numpy.random.Generator .* not RandomState"):
        nn.apply(line(), X, train=True, rng=np.random.RandomState(0))
    with pytest.raises(TypeError, match="apply: the model must be a layer or a function, not ndarray"):
        nn.apply(X, X)

    class One(nn.Layer):
        def forward(self, x, *, train=False, rng=None):
            return x

    class Other(nn.Layer):
        def forward(self, x, *, train=False, rng=None):
            return x, line()

    for layer in (One(), Other()):
        with pytest.raises(TypeError, match=r"(One|Other)\.forward must return \(y, layer\) with the (One|Other)"):
            nn.apply(layer, X)

    class Nothing(nn.Layer):
        pass

    with pytest.raises(TypeError, match="Nothing defines neither __call__"):
        Nothing()(X)
    with pytest.raises(TypeError, match="Nothing defines neither __call__"):
        nn.apply(Nothing(), X, train=True)


def test_call_alone_cannot_train_layers_that_differ_in_training():
    class Careless(nn.Layer):
        body: nn.Sequential
        head: nn.Layer

        def __call__(self, x):
            return self.head(self.body(x))

    same = Careless(nn.Sequential(nn.Dense(2, 2, dtype=np.float64, rng=0), nn.relu), line())
    assert nn.apply(same, X, train=True)[1] is same
    careless = nn.replace(same, body=nn.Sequential(nn.relu, nn.Dropout(0.5)))
    assert careless(X).shape == (3,)
    with pytest.raises(TypeError, match=r"Careless defines only __call__, which uses body \(Sequential\) as after"):
        nn.apply(careless, X, train=True, rng=0)


# -- the class -----------------------------------------------------------------------------------------------


def test_layers_do_not_change():
    model = line()
    with pytest.raises(AttributeError, match=r"Line\.weight cannot be assigned again: .* nn\.replace\(layer, weight"):
        model.weight = X
    with pytest.raises(AttributeError, match="Line has no field 'wieght': declare it in the class body"):
        model.wieght = X


def test_replace():
    model = line()
    new = nn.replace(model, power=3)
    assert (new.power, model.power) == (3, 1)
    assert new.weight is model.weight
    with pytest.raises(TypeError, match="replace: Line has no field 'strength'; it has weight, bias, power"):
        nn.replace(model, strength=1)
    with pytest.raises(TypeError, match="replace: the first argument must be a layer, not dict"):
        nn.replace({}, a=1)


def test_init_of_ones_own_is_inherited():
    class Square(nn.Dense):
        def __init__(self, n, rng):
            super().__init__(n, n, rng=rng)

    class Tall(Square):
        pass

    assert Tall(3, rng=0).weight.shape == (3, 3)
    assert [path for path, _ in tree.paths(Tall(3, rng=0))] == [".weight", ".bias"]


def test_a_redundant_dataclass_decorator_does_no_harm():
    @dataclasses.dataclass
    class Decorated(nn.Layer):
        weight: np.ndarray = nn.parameter()  # noqa: RUF009 - not the call that it looks like

    a, b = Decorated(np.ones(2)), Decorated(np.ones(2))
    assert a == b
    assert repr(a) == "Decorated(weight=float64[2])  # 2 parameters"


def test_comparison_is_by_value():
    model = line()
    assert model == line()
    assert model != nn.replace(model, bias=np.array(0.0))
    assert model != nn.replace(model, power=2)
    assert model != nn.replace(model, bias=np.array(3.0, np.float32))
    assert model != "line"
    assert net() == net()
    with pytest.raises(TypeError, match="unhashable"):
        hash(model)


def test_pickle_and_copy():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm(2), nn.relu, nn.Flatten(), nn.Dropout(0.1))
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(model, protocol)) == model
    deep = copy.deepcopy(model)
    assert deep == model
    assert deep[0].weight is not model[0].weight
    structure = pickle.loads(pickle.dumps(tree.structure(model)))
    assert structure == tree.structure(model)


def test_repr():
    assert repr(line()) == "Line(weight=float64[2], bias=array(3.))  # 3 parameters"
    assert repr(nn.replace(line(), power=2)) == "Line(weight=float64[2], bias=array(3.), power=2)  # 3 parameters"
    assert repr(net()).splitlines() == [
        "Net(",
        "  parts=(",
        "    0=Line(weight=float64[2], bias=array(3.)),",
        "    1=Mean(mean=array(0.5), count=0),",
        "  ),",
        "  scale=array(2.),",
        ")  # 4 parameters",
    ]
    g = []
    grad(lambda m: g.append(repr(m)) or np.sum(m(X)))(line())
    assert g == ["Line(weight=float64[2], bias=float64[])  # 3 parameters"]


def test_summary():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding="same", rng=0),
        nn.BatchNorm(4),
        nn.relu,
        nn.Sequential(nn.Flatten(), nn.Dense(64, 1000, rng=0)),
    )
    assert nn.summary(model, (8, 3, 7, 7)).splitlines() == [
        "name               layer       output            parameters",
        "-----------------------------------------------------------",
        "layers.0           Conv2d      float32[8,4,4,4]         112",
        "layers.1           BatchNorm   float32[8,4,4,4]           8",
        "layers.2           Activation  float32[8,4,4,4]           0",
        "layers.3.layers.0  Flatten     float32[8,64]              0",
        "layers.3.layers.1  Dense       float32[8,1000]       65,000",
        "-----------------------------------------------------------",
        "total                                                65,120",
        "and 8 numbers of state",
    ]
    assert "model  Line   float64[5]           3" in nn.summary(line(), (5, 2), np.float64)


def test_summary_names_the_layer_that_does_not_fit():
    model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.Sequential(nn.relu, nn.Dense(4, 2, rng=0)))
    with pytest.raises(ValueError, match=r"Dense\(4 -> 2\): expected 4 features") as caught:
        nn.summary(model, (1, 4))
    assert caught.value.__notes__ == ["in layers.1.layers.1, on an input float32[1,3]"]
    with pytest.raises(TypeError, match="summary: input_shape must be a tuple with the batch"):
        nn.summary(model, 4)


def test_stop_gradient_takes_models():
    g = grad(lambda m: np.sum(stop_gradient(m)(X) * m.bias))(line())
    np.testing.assert_array_equal(g.weight, [0.0, 0.0])
    np.testing.assert_array_equal(g.bias, np.sum(line()(X)))
