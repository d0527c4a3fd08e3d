"""Draws street furniture, which hides actors that are further away."""

from apps.scenes.actors import shade
from apps.scenes.brush import Brush
from apps.scenes.light import Colour
from apps.scenes.world import Post

_BARK: Colour = (50, 70, 95)
_LEAVES: Colour = (55, 125, 75)
_STEEL: Colour = (95, 100, 100)


def draw_post(brush: Brush, post: Post, width: int, height: int, sway: float) -> None:
    """Draws one piece of furniture; `sway` in -1..1 moves a tree's crown."""
    x, y, unit = post.x * width, post.y * height, post.unit * height
    if post.kind == "lamp":
        brush.rectangle((x - 0.04 * unit, y - 2.3 * unit), (x + 0.04 * unit, y), _STEEL)
        brush.line([(x, y - 2.3 * unit), (x + 0.35 * unit, y - 2.38 * unit)], 0.06 * unit, _STEEL)
        brush.ellipse((x + 0.38 * unit, y - 2.36 * unit), (0.14 * unit, 0.05 * unit), (190, 235, 250))
    elif post.kind == "tree":
        brush.rectangle((x - 0.075 * unit, y - 1.4 * unit), (x + 0.075 * unit, y), _BARK)
        leaves = shade(_LEAVES, 0.75 + 0.5 * post.tint)
        for ahead, up, radius in ((-0.28, 1.55, 0.34), (0.28, 1.6, 0.36), (0.0, 1.9, 0.4)):
            centre = (x + (ahead + 0.03 * sway) * unit, y - up * unit)
            brush.circle(centre, radius * unit, shade(leaves, 0.85 + 0.2 * up / 1.9))
    elif post.kind == "sign":
        brush.rectangle((x - 0.025 * unit, y - 1.35 * unit), (x + 0.025 * unit, y), _STEEL)
        face: Colour = (60, 60, 215) if post.tint < 0.5 else (200, 110, 40)
        brush.circle((x, y - 1.4 * unit), 0.17 * unit, face)
        brush.circle((x, y - 1.4 * unit), 0.11 * unit, (235, 235, 235))
    else:
        for step in (-0.5, 0.0, 0.5):
            left, right = x + (step - 0.05) * unit, x + (step + 0.05) * unit
            brush.rectangle((left, y - 0.34 * unit), (right, y), (60, 60, 64))
            brush.rectangle((left, y - 0.30 * unit), (right, y - 0.24 * unit), (60, 190, 235))
