"""Feature extractors against SciPy, against the modules they wrap, and against files that are not what they say."""

import copy
import io
import pickle
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save
from scipy.signal import correlate2d
from torch import nn

from whitecrow.core.errors import DataError, MissingExtraError, ParameterError
from whitecrow.nn import seeded
from whitecrow.nn.extractors import ModuleExtractor, OnnxExtractor, Preprocessing, RandomExtractor, timm_extractor


def images(n=6, channels=1, side=16, seed=0):
    """Return smooth images between -1 and 1, darker at the border."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    window = torch.hann_window(side, periodic=False)
    return (2 * smooth * window * window.view(-1, 1) - 1).clamp(-1, 1)


# ---- random network --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "grid"), [(5, 5), (8, 8), (16, 8), (28, 7), (32, 8), (64, 8), (256, 32)])
def test_first_grid_of_random_features_fits_the_image(side, grid):
    x = images(2, 3, side)
    extractor = RandomExtractor.drawn(x, 0)
    maps = list(extractor(x).values())
    assert tuple(extractor(x)) == extractor.layers
    assert maps[0].shape[-2:] == (grid, grid)
    assert maps[1].shape[-2:] == (-(-grid // 2),) * 2
    assert tuple(m.shape[1] for m in maps) == extractor.out_channels
    assert extractor.reductions == (round(side / grid), 2 * round(side / grid))
    assert extractor.is_random


def test_random_features_are_those_of_scipy():
    x = images(4, 2, 12)
    extractor = RandomExtractor.drawn(x, 3)
    pixels = x[0].double().numpy() * float(extractor.gain) - extractor.offset.numpy()[:, None, None]
    found, value = [], pixels
    for kernel in extractor.kernels:
        filtered = [sum(correlate2d(v, w, "same") for v, w in zip(value, one, strict=True)) for one in kernel.numpy()]
        value = np.abs(filtered)
        value = value.reshape(len(value), value.shape[1] // 2, 2, value.shape[2] // 2, 2).mean((2, 4))
        found.append(value)
    found[0] = np.concatenate([found[0], pixels.reshape(2, 6, 2, 6, 2).mean((2, 4))])
    for expected, m, mean, std in zip(found, extractor(x[:1]).values(), extractor.means, extractor.stds, strict=True):
        scaled = (expected - mean.numpy()[:, None, None]) / std.numpy()[:, None, None]
        np.testing.assert_allclose(m[0].numpy(), scaled, rtol=1e-3, atol=1e-4)


def test_random_features_of_the_training_images_are_standardised():
    x = images(50, 1, 28)
    for m in RandomExtractor.drawn(x, 0)(x).values():
        np.testing.assert_allclose(m.mean((0, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(m.std((0, 2, 3)), 1, atol=1e-2)


def test_random_filters_are_orthonormal_and_the_first_see_contrast_alone():
    kernels = RandomExtractor.drawn(images(3, 3, 28), 0).kernels
    np.testing.assert_allclose(kernels[0].mean((1, 2, 3)), 0, atol=1e-7)
    for kernel in kernels[1:]:
        rows = kernel.flatten(1)
        np.testing.assert_allclose(rows @ rows.mT, np.eye(len(rows)), atol=1e-5)


@pytest.mark.parametrize(("factor", "shift"), [(0.1, 0.0), (1.0, 0.5), (-1.0, 0.0), (-0.3, 0.2)])
def test_contrast_brightness_and_negatives_of_all_images_do_not_matter(factor, shift):
    x = images(20, 3, 28)
    y = factor * x + shift
    for a, b in zip(RandomExtractor.drawn(x, 0)(x).values(), RandomExtractor.drawn(y, 0)(y).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=2e-3)


def test_brighter_and_other_coloured_images_are_seen():
    x = images(20, 3, 28)
    extractor = RandomExtractor.drawn(x, 0)
    plain, other = torch.zeros(1, 3, 28, 28), torch.zeros(1, 3, 28, 28)
    other[:, 0] = 0.5
    a, b = extractor(plain)["stage2"], extractor(other)["stage2"]
    within = slice(2, -2)
    assert (a - b)[0, -3, within, within].abs().min() > 0.5
    torch.testing.assert_close(a[0, -2:], b[0, -2:])


def test_seed_is_the_only_source_of_randomness():
    x = images()
    state = torch.random.get_rng_state()
    first = RandomExtractor.drawn(x, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    assert RandomExtractor.drawn(x, 1).fingerprint == first.fingerprint
    assert RandomExtractor.drawn(x, 2).fingerprint != first.fingerprint
    torch.random.set_rng_state(state)


def test_same_fingerprint_and_features_in_another_process(preloaded_python):
    code = (
        "import torch, hashlib; torch.set_num_threads(1); from whitecrow.nn.extractors import RandomExtractor;"
        "x = torch.linspace(-1, 1, 4 * 256).reshape(4, 1, 16, 16).sin(); e = RandomExtractor.drawn(x, 7);"
        "b = b''.join(m.numpy().tobytes() for m in e(x).values()); print(e.fingerprint, hashlib.sha256(b).hexdigest())"
    )
    here = io.StringIO()
    threads = torch.get_num_threads()
    exec(code, {"print": lambda *parts: here.write(" ".join(parts))})
    torch.set_num_threads(threads)
    there = subprocess.run([preloaded_python, "-c", code], check=True, capture_output=True, text=True).stdout
    assert here.getvalue() == there.strip()


def test_features_of_an_image_do_not_depend_on_the_others():
    x = images(40, 1, 28)
    extractor = RandomExtractor.drawn(x, 0)
    together, alone = extractor(x), extractor(x[17:18])
    for name in extractor.layers:
        torch.testing.assert_close(together[name][17:18], alone[name], rtol=1e-5, atol=1e-5)


def test_buffers_lead_back_to_the_extractor():
    x = images(5, 3, 20)
    extractor = RandomExtractor.drawn(x, 0)
    again = RandomExtractor.from_buffers({**extractor.buffers(), "bank": torch.ones(2)}, (3, 20, 20))
    assert again.fingerprint == extractor.fingerprint
    for a, b in zip(again(x).values(), extractor(x).values(), strict=True):
        assert torch.equal(a, b)
    layout = {name: (t.dtype, tuple(t.shape)) for name, t in extractor.buffers().items()}
    assert RandomExtractor.layout((3, 20, 20)) == layout


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.3])
def test_constant_images_give_finite_features(value):
    x = torch.full((3, 1, 9, 9), value)
    extractor = RandomExtractor.drawn(x, 0)
    for batch in (x, images(3, 1, 9)):
        assert all(m.isfinite().all() for m in extractor(batch).values())


# ---- modules ---------------------------------------------------------------------------------------------------------


def small_network(seed=0):
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.Flatten()
        )


PLAIN = Preprocessing((0.5,) * 3, (0.5,) * 3, (16, 16))


def test_module_features_are_those_of_the_module():
    network = small_network().train()
    network[1].running_mean += 0.3
    extractor = ModuleExtractor(network, ["2", "3"], PLAIN)
    x = images(4, 3)
    expected = copy.deepcopy(network).eval()
    with torch.no_grad():
        torch.testing.assert_close(extractor(x)["2"], expected[:3](x))
        torch.testing.assert_close(extractor(x)["3"], expected[:4](x))
    assert extractor.out_channels == (4, 6)
    assert not extractor.is_random


def test_module_is_frozen_and_the_users_own_is_untouched():
    network = small_network().train()
    extractor = ModuleExtractor(network, ["2"], PLAIN)
    x = images(4, 3).requires_grad_()
    before = extractor(x)["2"]
    assert not before.requires_grad
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        for p in network.parameters():
            p += 1
    assert torch.equal(extractor(x)["2"], before)
    assert not any(len(module._forward_hooks) for module in extractor.module.modules())
    assert copy.deepcopy(extractor) is extractor
    again = pickle.loads(pickle.dumps(extractor))
    assert again.fingerprint == extractor.fingerprint
    assert torch.equal(again(x)["2"], before)


def test_fingerprint_tells_weights_layers_and_preprocessing_apart():
    def fingerprint(network, layers=("2",), preprocessing=PLAIN):
        return ModuleExtractor(network, layers, preprocessing).fingerprint

    changed = small_network()
    changed[1].running_var[0] += 1e-3
    others = [
        fingerprint(changed),
        fingerprint(small_network(), ("3",)),
        fingerprint(small_network(), ("2", "3")),
        fingerprint(small_network(), preprocessing=Preprocessing()),
    ]
    assert fingerprint(small_network()) == fingerprint(small_network())
    assert len({fingerprint(small_network()), *others}) == 5


class Repeating(nn.Module):
    def __init__(self):
        super().__init__()
        self.same, self.unused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.same(self.same(x))


@pytest.mark.parametrize(
    ("network", "layers", "says"),
    [
        (small_network, ("layer2",), r"submodules.*0, 1, 2, 3, 4"),
        (small_network, (), "submodules"),
        (small_network, ("2", "2"), "each once"),
        (small_network, ("4",), r"'4' gave 1 outputs, \[\(1, 96\)\]"),
        (Repeating, ("same",), "'same' gave 2 outputs"),
        (Repeating, ("unused",), "'unused' gave 0 outputs"),
    ],
)
def test_layers_without_maps_are_refused(network, layers, says):
    with pytest.raises(ParameterError, match=says):
        ModuleExtractor(network(), layers, PLAIN)


def test_preprocessing_is_that_of_imagenet():
    x = images(2, 3, 64)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((x.numpy() + 1) / 2 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(Preprocessing()(x), expected, atol=1e-5)


def test_channels_are_made_those_of_the_network():
    grey, colour = images(2, 1), images(2, 3)
    one, three = Preprocessing((0.5,), (0.5,), (16, 16)), PLAIN
    torch.testing.assert_close(three(grey), grey.expand(-1, 3, -1, -1))
    luma = (colour * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(one(colour), luma, atol=1e-6, rtol=0)
    with pytest.raises(DataError, match="4 channels and the extractor takes 3"):
        three(images(2, 4))


@pytest.mark.parametrize(("side", "enlarged"), [(8, 32), (28, 84), (32, 64), (64, 64), (100, 100)])
def test_small_images_are_enlarged_up_to_four_times(side, enlarged):
    assert Preprocessing()(images(1, 3, side)).shape[-2:] == (enlarged, enlarged)


def test_impossible_preprocessing_is_refused():
    for mean, std in (((0.5, 0.5), (1.0, 1.0)), ((0.5,), (0.0,)), ((0.5,), (1.0,) * 3)):
        with pytest.raises(ParameterError, match="one number per input channel"):
            Preprocessing(mean, std)


# ---- timm ------------------------------------------------------------------------------------------------------------


class Backbone(nn.Module):
    """An architecture as timm makes them, with 120 tensors before its classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 4, 1)
        self.stages = nn.ModuleList(nn.Conv2d(4, 4, 3, 2 if k < 2 else 1, 1) for k in range(59))
        self.fc = nn.Linear(4, 10)
        self.feature_info = [
            {"num_chs": 4, "reduction": 4, "module": "stem"},
            {"num_chs": 4, "reduction": 8, "module": "stages.0"},
            {"num_chs": 4, "reduction": 16, "module": "stages.1"},
        ]
        self.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "classifier": "fc", "input_size": (3, 64, 64)}

    def forward(self, x):
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def timm(monkeypatch):
    """Put a timm with one architecture in the place of the real one, which may not be installed."""
    calls = []

    def create_model(name, **given):
        calls.append((name, given))
        return Backbone()

    module = ModuleType("timm")
    module.create_model, module.is_model, module.calls = create_model, lambda name: name == "tiny", calls
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


def test_timm_weights_are_read_from_the_file_and_nothing_is_fetched(timm):
    with seeded(3):
        trained = Backbone()
    extractor = timm_extractor("tiny", save(trained.state_dict()))
    assert timm.calls == [("tiny", {"pretrained": False})]
    assert extractor.layers == ("stages.0", "stages.1")
    assert extractor.reductions == (8, 16)
    x = images(2, 3, 64)
    with torch.no_grad():
        torch.testing.assert_close(extractor(x)["stages.0"], trained.stages[0](trained.stem(x)))
    assert timm_extractor("tiny", save(trained.state_dict()), ("stem",)).layers == ("stem",)


def test_few_absent_tensors_and_another_classifier_are_accepted(timm):
    state = Backbone().state_dict()
    del state["stages.58.bias"], state["fc.weight"]
    state["fc.bias"] = torch.zeros(1000)
    timm_extractor("tiny", save(state))


@pytest.mark.parametrize("fault", ["absent", "shape", "other names"])
def test_weights_of_another_architecture_are_refused(timm, fault):
    state = Backbone().state_dict()
    for name in ("stages.57.weight", "stages.58.weight"):
        tensor = state.pop(name)
        if fault == "shape":
            state[name] = tensor[:2].contiguous()
    if fault == "other names":
        state = {f"model.{name}": tensor for name, tensor in Backbone().state_dict().items()}
    with pytest.raises(ParameterError, match=r"lack \d+ of the 120 tensors.*At most 1 %"):
        timm_extractor("tiny", save(state))


def test_pickled_weights_are_refused_unread(timm, tmp_path):
    ran = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return ran.touch, ()

    content = io.BytesIO()
    torch.save({"weight": Harm()}, content)
    with pytest.raises(ParameterError, match="no safetensors file"):
        timm_extractor("tiny", content.getvalue())
    assert not ran.exists()


@pytest.mark.parametrize("name", ["hf-hub:somebody/tiny", "hf_hub:tiny", "local-dir:/tiny", "no-such", "", "../tiny"])
def test_names_that_timm_would_look_up_elsewhere_are_refused(timm, name):
    timm.is_model = lambda name: True
    with pytest.raises(ParameterError, match="no architecture of this name"):
        timm_extractor(name, b"")
    assert not timm.calls


def test_unknown_architecture_and_absent_levels_are_refused(timm):
    with pytest.raises(ParameterError, match="no architecture"):
        timm_extractor("huge", b"")
    with pytest.raises(ParameterError, match=r"no maps .* 1/32"):
        timm_extractor("tiny", save(Backbone().state_dict()), None, (32,))


def test_timm_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"whitecrow\[timm\]"):
        timm_extractor("resnet18", b"")


# ---- ONNX ------------------------------------------------------------------------------------------------------------


def runtime(inputs, outputs):
    """Return an ONNX Runtime whose only model halves the sides, once for each output."""

    class Session:
        def __init__(self, content, options, providers):
            if content != b"model":
                raise RuntimeError("no graph")
            self.seen = []

        def get_inputs(self):
            return [SimpleNamespace(name=n, shape=s, type=t) for n, s, t in inputs]

        def get_outputs(self):
            return [SimpleNamespace(name=n, shape=s) for n, s in outputs]

        def run(self, names, given):
            (value,) = given.values()
            batch = inputs[0][1][0]
            if isinstance(batch, int) and len(value) != batch:
                raise RuntimeError("wrong batch")
            return [value[:, :, ::2, ::2] for _ in names]

    module = ModuleType("onnxruntime")
    module.InferenceSession, module.SessionOptions = Session, SimpleNamespace
    return module


FREE = ["n", 3, "h", "w"]


@pytest.mark.parametrize(
    ("shape", "side", "channels"),
    [(FREE, 32, 3), ([1, 3, "h", "w"], 32, 3), (["n", 3, 16, 16], 8, 3), (["n", 1, 16, 16], 8, 1)],
)
def test_onnx_outputs_with_four_axes_are_the_maps(monkeypatch, shape, side, channels):
    outputs = [("a", ["n", 3, "h", "w"]), ("logits", ["n", 10]), ("b", ["n", 3, "h", "w"])]
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime([("x", shape, "tensor(float)")], outputs))
    extractor = OnnxExtractor(b"model")
    assert extractor.layers == ("a", "b")
    x = images(3, 3, 16)
    expected = extractor.preprocessing(x)[:, :, ::2, ::2]
    assert extractor(x)["a"].shape == (3, channels, side, side)
    torch.testing.assert_close(extractor(x)["b"], expected)
    again = pickle.loads(pickle.dumps(extractor))
    assert again.fingerprint == extractor.fingerprint
    assert OnnxExtractor(b"model", ["b"]).fingerprint != extractor.fingerprint


@pytest.mark.parametrize(
    ("content", "inputs", "layers", "says"),
    [
        (b"other", [("x", FREE, "tensor(float)")], None, "no graph"),
        (b"model", [("x", FREE, "tensor(float16)")], None, "float16"),
        (b"model", [("x", ["n", 10], "tensor(float)")], None, "one input"),
        (b"model", [("x", FREE, "tensor(float)"), ("y", FREE, "tensor(float)")], None, "one input"),
        (b"model", [("x", [2, 3, "h", "w"], "tensor(float)")], None, "B is free or 1"),
        (b"model", [("x", FREE, "tensor(float)")], ["logits"], "four axes"),
        (b"model", [("x", FREE, "tensor(float)")], ["c"], "'c'"),
    ],
)
def test_unusable_onnx_files_are_refused(monkeypatch, content, inputs, layers, says):
    outputs = [("a", ["n", 3, "h", "w"]), ("logits", ["n", 10])]
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime(inputs, outputs))
    with pytest.raises(ParameterError, match=says):
        OnnxExtractor(content, layers)


def test_onnx_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"whitecrow\[onnx\]"):
        OnnxExtractor(b"model")


def test_onnx_features_are_those_of_torch():
    onnx = pytest.importorskip("onnx", reason="builds the file")
    pytest.importorskip("onnxruntime", reason="runs the file")
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1))
    weights = [onnx.numpy_helper.from_array(t.numpy(), name) for name, t in network.state_dict().items()]
    nodes = [
        onnx.helper.make_node(
            "Conv", [source, f"{k}.weight", f"{k}.bias"], [f"map{k}"], strides=[2, 2], pads=[1, 1, 1, 1]
        )
        for k, source in enumerate(("x", "map0"))
    ]
    real = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(f"map{k}", real, ["n", c, "h", "w"]) for k, c in ((0, 4), (1, 6))]
    graph = onnx.helper.make_graph(
        nodes, "g", [onnx.helper.make_tensor_value_info("x", real, FREE)], ends, initializer=weights
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    ours = ModuleExtractor(network, ["0", "1"], PLAIN)
    theirs = OnnxExtractor(model.SerializeToString(), preprocessing=PLAIN)
    x = images(3, 3)
    assert theirs.out_channels == ours.out_channels
    for a, b in zip(ours(x).values(), theirs(x).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    with pytest.raises(ParameterError, match="no ONNX file"):
        OnnxExtractor(b"no model")
