"""From two heads to Mask R-CNN: Ekman, appendix B (B1 to B4, B9).

Run: ``python -m examples run ekman/app-B1 ekman/app-B2 ekman/app-B3 ekman/app-B4 ekman/app-B9``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff import Spec, eval_shape, grad, tree, value_and_grad
from autodiff.ops import relu
from examples.catalogue import program
from examples.detection.boxes import anchors, iou, moved, offsets, roi_align, roi_pool, suppress
from examples.detection.scenes import SIZE, Scenes, scenes
from examples.report import Row, agreement

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run

DATA = "generated scenes of 32x32 pixels"


def fit(
    cost: Callable[[Any, Any], Any], model: Any, count: int, run: Run, steps: int, rate: float = 3e-3
) -> tuple[Any, Any]:
    """Minimise cost(model, rows) over minibatches of 32 rows with Adam; return the model and the costs."""
    rng, adam, costs = run.rng, nn.Adam(rate), []
    state = adam.init(model)
    for _ in range(steps):
        value, gradients = value_and_grad(cost)(model, rng.integers(0, count, 32))
        model, state = adam.update(gradients, state, model)
        costs.append(float(value))
    return model, costs


def trunk(rng: np.random.Generator) -> nn.Sequential:
    """Convolutions and a full layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1, rng=rng), relu, nn.Conv2d(8, 16, 3, stride=2, padding=1, rng=rng), relu,
        nn.Flatten(), nn.Dense(16 * 8 * 8, 64, rng=rng), relu,
    )  # fmt: skip


def two_heads(rng: np.random.Generator) -> dict[str, Any]:
    """A trunk, a softmax over classes, and four linear outputs."""
    return {"trunk": trunk(rng), "class": nn.Dense(64, 2, rng=rng), "box": nn.Dense(64, 4, rng=rng)}


def learned(run: Run, data: Scenes, steps: int) -> tuple[Any, Any]:
    """Train both heads on the sum of cross-entropy and ten times the squared error."""

    def cost(model: Any, rows: Any) -> Any:
        h = model["trunk"](data.images[rows])
        which = nn.losses.cross_entropy(model["class"](h), data.labels[rows])
        return which + 10 * nn.losses.mse(model["box"](h), data.boxes[rows] / SIZE)

    return fit(cost, two_heads(run.rng), len(data.labels), run, steps)


def falls(costs: list[float]) -> Row:
    """The loss at the end, met if it is below that at the start."""
    note = f"{costs[0]:.3f} at first"
    return Row(f"loss after {len(costs)} steps", "", f"{costs[-1]:.3f}", note, met=costs[-1] < costs[0])


def draw(ax: Any, image: Any, boxes: list[tuple[Any, str, str]]) -> None:
    """A scene with boxes: (box, colour, name)."""
    from matplotlib.patches import Rectangle

    ax.imshow(image, cmap="gray")
    for (x, y, w, h), colour, name in boxes:
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, fill=False, edgecolor=colour, lw=1.8, label=name))
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)


@program("ekman/app-B1")
def classifier_and_regressor(run: Run) -> list[Row]:
    """One trunk, two heads: what it is, and where."""
    run.data = DATA
    data, test = scenes(run.rng, 4096), scenes(np.random.default_rng(run.seed + 1), 200)
    model, costs = learned(run, data, run.length(quick=600))
    h = model["trunk"](test.images)
    found, right = model["box"](h) * SIZE, nn.metrics.accuracy(model["class"](h), test.labels)
    overlap = np.diagonal(iou(found, test.boxes)).mean()
    batch = slice(0, 16)

    def part(weights: tuple[float, float]) -> Callable[[Any], Any]:
        def cost(model: Any) -> Any:
            h = model["trunk"](data.images[batch])
            which = nn.losses.cross_entropy(model["class"](h), data.labels[batch])
            return weights[0] * which + weights[1] * nn.losses.mse(model["box"](h), data.boxes[batch] / SIZE)

        return cost

    shares = ((1.0, 10.0), (1.0, 0.0), (0.0, 1.0))
    both, which, where = (tree.leaves(grad(part(w))(model)) for w in shares)
    with run.picture(ncols=3, figsize=(8, 3)) as axes:
        for ax, i in zip(axes, range(3), strict=True):
            draw(ax, test.images[i, 0], [(test.boxes[i], "C0", "true"), (found[i], "C1", "found")])
        axes[0].legend(loc="lower right", labelcolor="white")
    return [
        agreement("gradient of both losses = weighted sum of theirs", np.concatenate([g.ravel() for g in both]),
                  np.concatenate([(a + 10 * b).ravel() for a, b in zip(which, where, strict=True)]), 1e-4),
        falls(costs),
        Row("classes right", "", f"{100 * right:.0f} %", "of two; each scene has an object, so none is without"),
        Row("mean overlap (IoU) of boxes", "", f"{overlap:.2f}"),
    ]  # fmt: skip


def windows(step: int = 4) -> Any:
    """Proposals: squares of three sizes all over the image."""
    places = [
        (x, y, s, s) for s in (8, 12, 16) for x in range(0, SIZE - s + 1, step) for y in range(0, SIZE - s + 1, step)
    ]
    return np.array(places, np.float32)


@program("ekman/app-B2")
def r_cnn(run: Run) -> list[Row]:
    """Proposals, each warped and sent through a network; a linear SVM on its features; a linear box correction."""
    run.data = DATA
    data, test = scenes(run.rng, 60), scenes(np.random.default_rng(run.seed + 1), 20)
    net, _ = learned(run, scenes(run.rng, 512), run.length(quick=80))
    proposals = windows()

    def features(scene: Scenes, i: int, boxes: Any) -> Any:
        warped = np.stack([roi_align(scene.images[i], box, SIZE) for box in boxes])
        return net["trunk"](warped)

    chosen = [run.rng.permutation(len(proposals))[:24] for _ in data.labels]
    best = [int(iou(proposals, box[None])[:, 0].argmax()) for box in data.boxes]
    rows = [np.append(c, b) for c, b in zip(chosen, best, strict=True)]
    x = np.concatenate([features(data, i, proposals[r]) for i, r in enumerate(rows)])
    overlap = np.concatenate([iou(proposals[r], data.boxes[i : i + 1])[:, 0] for i, r in enumerate(rows)])
    targets = np.concatenate([offsets(data.boxes[i], proposals[r]) for i, r in enumerate(rows)])
    signs = np.where(overlap > 0.5, 1.0, -1.0).astype(np.float32)

    def svm(w: Any, at: Any) -> Any:
        margin = signs[at] * (x[at] @ w["w"] + w["b"])
        return np.mean(np.maximum(0, 1 - margin)) + 1e-3 * np.sum(w["w"] ** 2)

    start = {"w": np.zeros(64, np.float32), "b": np.float32(0)}
    w, costs = fit(svm, start, len(x), run, run.length(quick=300), rate=1e-2)
    near = overlap > 0.3
    ones = np.hstack([x, np.ones((len(x), 1), np.float32)])
    regressor = np.linalg.lstsq(ones[near].T @ ones[near] + np.eye(65), ones[near].T @ targets[near], rcond=None)[0]
    before, after, kept = [], [], []
    for i in range(len(test.labels)):
        f = features(test, i, proposals)
        scores = f @ w["w"] + w["b"]
        keep = suppress(proposals, scores, 0.3)
        top = keep[0]
        corrected = moved(proposals[top], np.append(f[top], 1) @ regressor)
        before.append(iou(proposals[top : top + 1], test.boxes[i : i + 1])[0, 0])
        after.append(iou(corrected[None], test.boxes[i : i + 1])[0, 0])
        kept.append(len(keep))
    hand = iou(np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 2, 4, 4], [0, 0, 4, 4], [8, 8, 2, 2]]))
    return [
        agreement("overlap (IoU) of squares of 4 by hand", hand, [[4 / 28, 1, 0]]),
        Row("proposals for an image", "about 2,000", f"{len(proposals)}", "three sizes, every 4 pixels; 64 features, "
            "not 4,096; one machine and regressor, object or none, not one for each class"),
        Row("hinge loss", "", f"{costs[-1]:.3f}", f"{costs[0]:.3f} at first", met=costs[-1] < costs[0]),
        Row("left after suppression of overlaps", "", f"{np.mean(kept):.0f}"),
        Row("mean overlap of the best proposal", "", f"{np.mean(before):.2f}"),
        Row("  after the linear correction", "", f"{np.mean(after):.2f}"),
    ]  # fmt: skip


@program("ekman/app-B3")
def fast_r_cnn(run: Run) -> list[Row]:
    """One pass over the image; each region is pooled to a fixed size; offsets of boxes are free of scale."""
    rng = run.rng
    vgg = [nn.MaxPool2d(2)] * 5
    shape = eval_shape(nn.Sequential(*vgg), Spec((1, 1, 224, 448), np.float32)).shape
    features, errors = rng.normal(size=(2, 9, 12)), rng.normal(size=(2, 2, 2))
    pooled = roi_pool(features, (2, 3, 8, 4), 2)
    by_hand = np.stack([[[m[3 + 2 * i : 5 + 2 * i, 2 + 4 * j : 6 + 4 * j].max() for j in (0, 1)] for i in (0, 1)]
                        for m in features])  # fmt: skip
    routed = grad(lambda f: np.sum(errors * roi_pool(f, (2, 3, 8, 4), 2)))(features)
    expected = np.zeros_like(features)
    for (c, i, j), error in np.ndenumerate(errors):
        expected[c][features[c] == by_hand[c, i, j]] += error
    p, g = rng.uniform(1, 9, (6, 4)), rng.uniform(1, 9, (6, 4))
    t = offsets(g, p)
    slope = grad(lambda g: np.sum(offsets(g, p)[:, 2]))(g)[:, 2]
    return [
        Row("map of a 224x448 image after five pools", "W/32 x H/32", f"{shape[2]}x{shape[3]}",
            "224 / 32 and 448 / 32; Girshick's paper leaves out the last pool: / 16",
            met=shape[2:] == (7, 14)),
        Row("region 4x8 pooled to", "2x2", "x".join(map(str, pooled.shape[1:]))),
        agreement("region pooling by hand", pooled, by_hand),
        agreement("its gradient goes to the maxima", routed, expected),
        agreement("boxes come back from their offsets", moved(p, t), g),
        agreement("offsets are free of scale", offsets(5 * g, 5 * p), t),
        agreement("d t_w / d G_w = 1 / G_w", slope, 1 / g[:, 2]),
        Row("any region to 7x7", "7x7", "x".join(map(str, roi_pool(features, (1, 1, 9, 7), 7).shape[1:]))),
    ]  # fmt: skip


@program("ekman/app-B4")
def faster_r_cnn(run: Run) -> list[Row]:
    """A network proposes the regions: at each place it scores nine anchors and offsets four numbers of each."""
    run.data = DATA
    nine = anchors(0, 0, (128, 256, 512))
    data, test = scenes(run.rng, 256), scenes(np.random.default_rng(run.seed + 1), 100)
    places = [(x, y) for y in range(2, SIZE, 4) for x in range(2, SIZE, 4)]
    grid = np.stack([anchors(x, y, (8, 12, 16)) for x, y in places]).astype(np.float32)  # (64, 9, 4)
    flat = grid.reshape(-1, 4)

    def goals(scene: Scenes) -> tuple[Any, Any]:
        overlap = np.stack([iou(flat, box[None])[:, 0] for box in scene.boxes])
        good = (overlap > 0.6) | (overlap == overlap.max(1, keepdims=True))
        return good.astype(np.float32), np.stack([offsets(box, flat) for box in scene.boxes]).astype(np.float32)

    good, shifts = goals(data)
    rng = run.rng
    model = {
        "body": nn.Sequential(nn.Conv2d(1, 12, 3, stride=2, padding=1, rng=rng), relu,
                              nn.Conv2d(12, 24, 3, stride=2, padding=1, rng=rng), relu,
                              nn.Conv2d(24, 32, 3, padding=1, rng=rng), relu),
        "score": nn.Conv2d(32, 9, 1, rng=rng), "box": nn.Conv2d(32, 36, 1, rng=rng),
    }  # fmt: skip

    def heads(model: Any, images: Any) -> tuple[Any, Any]:
        h = model["body"](images)
        score = np.moveaxis(model["score"](h), 1, -1).reshape(len(images), -1)
        return score, np.moveaxis(model["box"](h), 1, -1).reshape(len(images), -1, 4)

    def cost(model: Any, rows: Any) -> Any:
        score, t = heads(model, data.images[rows])
        which = nn.losses.binary_cross_entropy_with_logits(score, good[rows])
        where = np.sum(good[rows][..., None] * (t - shifts[rows]) ** 2) / np.sum(good[rows])
        return 20 * which + where

    model, costs = fit(cost, model, len(data.labels), run, run.length(quick=80))
    score, t = heads(model, test.images)
    top = score.argmax(1)
    proposed = moved(flat[top], t[np.arange(len(top)), top])
    overlap = np.diagonal(iou(proposed, test.boxes)).mean()
    with run.picture(ncols=2, figsize=(7, 3.4)) as (left, right):
        for (x, y, w, h), colour in zip(nine, [c for c in ("C0", "C1", "C2") for _ in range(3)], strict=True):
            left.plot([x, x + w, x + w, x, x], [y, y, y + h, y + h, y], color=colour)
        left.set(title="nine anchors", xlabel="pixels", ylabel="pixels", aspect="equal")
        draw(right, test.images[0, 0], [(test.boxes[0], "C0", "true"), (flat[top[0]], "C4", "anchor"),
                                        (proposed[0], "C1", "proposed")])  # fmt: skip
        right.legend(loc="lower right", labelcolor="white")
    return [
        Row("anchors at a place", "9", str(len(nine))),
        Row("their areas", "128^2, 256^2, 512^2", ", ".join(f"{s:.0f}^2" for s in sorted({round(float(np.sqrt(w * h)))
            for _, _, w, h in nine}))),
        Row("their ratios of height to width", "1:2, 1:1, 2:1", ", ".join(f"{max(1, round(r))}:{max(1, round(1 / r))}"
            for r in sorted({round(float(h / w), 3) for _, _, w, h in nine}))),
        Row("outputs for each place, scores and numbers of boxes", "", f"{model['score'].weight.shape[0]}, "
            f"{model['box'].weight.shape[0]}", "K and 4 K", met=model["box"].weight.shape[0] == 36),
        Row("the proposal network tells apart", "nine classes", "nine anchors", wrong="each is an object or not"),
        falls(costs),
        Row("mean overlap of the best proposal", "", f"{overlap:.2f}"),
    ]  # fmt: skip


@program("ekman/app-B9")
def mask_r_cnn(run: Run) -> list[Row]:
    """Regions are aligned by interpolation; a third branch paints a mask for each class, and the class picks one."""
    run.data = DATA
    rng = run.rng
    row, column = np.mgrid[:12, :16]
    plane = (2.0 * column - 3.0 * row + 1.0)[None]
    box = (2.3, 1.7, 6.4, 4.8)
    centres = 2.3 + (np.arange(4) + 0.5) * 1.6 - 0.5, 1.7 + (np.arange(4) + 0.5) * 1.2 - 0.5
    exact = 2 * centres[0][None] - 3 * centres[1][:, None] + 1
    features, ct = rng.normal(size=(2, 12, 16)), rng.normal(size=(2, 4, 4))
    back = grad(lambda f: np.sum(ct * roi_align(f, box, 4)))(features)
    data, test = scenes(rng, 256), scenes(np.random.default_rng(run.seed + 1), 60)

    def cut(scene: Scenes) -> tuple[Any, Any]:
        regions = np.stack([roi_align(image, box, 14) for image, box in zip(scene.images, scene.boxes, strict=True)])
        masks = [
            roi_align(mask[None].astype(np.float32), box, 28)[0]
            for mask, box in zip(scene.masks, scene.boxes, strict=True)
        ]
        return regions, (np.stack(masks) > 0.5).astype(np.float32)

    (regions, masks), (unseen, wanted) = cut(data), cut(test)
    branch = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding="same", rng=rng), relu, nn.Upsample2d(2),
        nn.Conv2d(8, 8, 3, padding="same", rng=rng), relu, nn.Conv2d(8, 2, 1, rng=rng),
    )  # fmt: skip

    def cost(model: Any, rows: Any) -> Any:
        own = model(regions[rows])[np.arange(len(rows)), data.labels[rows]]
        return nn.losses.binary_cross_entropy_with_logits(own, masks[rows])

    branch, costs = fit(cost, branch, len(regions), run, run.length(quick=60), rate=1e-2)
    painted = branch(unseen)[np.arange(len(unseen)), test.labels] > 0
    silent = grad(lambda out: np.sum(np.sin(out[np.arange(3), [0, 1, 0]])))(rng.normal(size=(3, 2, 4, 4)))
    with run.picture(ncols=4, figsize=(8, 2.4)) as axes:
        for i, ax in enumerate(axes):
            shown, low, high = (painted, 0, 1) if i % 2 else (unseen[:, 0], unseen.min(), unseen.max())
            ax.imshow(shown[i // 2], cmap="gray", vmin=low, vmax=high)  # one scale: a square fills its region
            name = ("square", "disc")[test.labels[i // 2]]
            ax.set(title=f"{'mask' if i % 2 else 'region'} of a {name}", xticks=[], yticks=[])
            ax.grid(visible=False)
    return [
        agreement("alignment is exact on a plane", roi_align(plane, box, 4)[0], exact),
        agreement("its transpose", np.sum(ct * roi_align(features, box, 4)), np.sum(back * features)),
        Row("mask", "28x28", "x".join(map(str, painted.shape[1:]))),
        Row("channels, one for each class", "", str(branch[5].weight.shape[0])),
        Row("masks of other classes hear of the error", "", str(bool(silent[[0, 1, 2], [1, 0, 1]].any())),
            met=not silent[[0, 1, 2], [1, 0, 1]].any()),
        falls(costs),
        Row("pixels right", "", f"{100 * np.mean(painted == wanted.astype(bool)):.0f} %"),
    ]  # fmt: skip
