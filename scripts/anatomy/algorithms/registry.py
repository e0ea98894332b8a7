"""What an algorithm of reinforcement learning is, and how one is found by its name.

Every other module of this package is one algorithm: a subclass of ``Algorithm``, in a file of the algorithm's
name with ``_`` for ``-`` and ``_plus`` for ``+``. There is no list to keep.

The study's configuration asks algorithms what they need before anything runs, so none of these modules waits
for torch to be imported: it is named for types alone, and tensors bring their operations along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from anatomy import algorithms
from anatomy.errors import AnatomyError

if TYPE_CHECKING:
    from torch import Tensor


class ValueModel(Protocol):
    """A value model on the rollouts in hand, for algorithms that learn one."""

    @property
    def gamma(self) -> float:
        """Discount of a token's return."""

    @property
    def lam(self) -> float:
        """Lambda of generalised advantage estimation."""

    def values(self) -> "Tensor":
        """Return (B, T): the value of the state before each response token."""

    def fit(self, returns: "Tensor") -> None:
        """Train the value model on the returns (B, T) of these rollouts."""


@dataclass(frozen=True)
class Batch:
    """The judged rollouts of a draw: P prompts with G rollouts each, B = P x G in all, of at most T tokens.

    They are those of all processes, in the same order in each of them.
    """

    rewards: "Tensor"
    """(P, G)."""
    mask: "Tensor"
    """(B, T): 1 for the response's tokens, which come first in a row, and 0 behind them; 0 throughout for
    rollouts that take no part."""
    greedy: "Tensor | None" = None
    """(P,): rewards of the prompts' greedy responses, where the algorithm asks for them."""
    value_model: ValueModel | None = None
    """Where the algorithm learns one."""


class Algorithm:
    """An algorithm: its advantages, the options of its loss, and what it needs besides rollouts."""

    greedy: ClassVar[bool] = False
    """Whether a greedy response of each prompt is drawn and judged too."""
    value_model: ClassVar[bool] = False
    """Whether a value model is learned; its preset then has ``value``, and no other preset may."""
    options: ClassVar[Mapping[str, Any]] = {
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "loss_type": "dapo",
        "use_bias_correction_kl": False,
        "max_grad_norm": 1.0,
    }
    """Fields of TRL's GRPOConfig, where the preset's ``options`` do not say otherwise.

    The KL term of the loss is k3 as it stands (DeepSeekMath, eq. 4), where TRL's default multiplies it by the
    ratio of the policies.
    """

    def advantages(self, batch: Batch) -> "Tensor":
        """Return what the policy's loss multiplies a token's ratio with.

        Args:
            batch: The rollouts; ``greedy`` and ``value_model`` are there for algorithms that ask for them.

        Returns:
            (P, G), one number for all tokens of a rollout; or (B, T), one for each token, 0 outside the mask.
        """
        raise NotImplementedError


def names() -> list[str]:
    """Return the names of all algorithms, sorted."""
    modules = {found.name for found in iter_modules(algorithms.__path__)} - {__name__.rpartition(".")[2]}
    return sorted(module.replace("_plus", "+").replace("_", "-") for module in modules)


def module_name(name: str) -> str:
    """Return the name of an algorithm's module in this package."""
    return name.replace("-", "_").replace("+", "_plus")


def find(name: str) -> Algorithm:
    """Return the algorithm of a name.

    Raises:
        AnatomyError: There is none, or its module defines none.
    """
    if name not in names():
        raise AnatomyError(f"unknown algorithm '{name}'; known: {', '.join(names())}")
    module = import_module(f"{algorithms.__name__}.{module_name(name)}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Algorithm) and value.__module__ == module.__name__:
            return value()
    raise AnatomyError(f"{module.__file__}: it defines no subclass of anatomy.algorithms.registry.Algorithm")


def value_learners() -> list[str]:
    """Return the names of the algorithms that learn a value model."""
    return [name for name in names() if find(name).value_model]


def whiten(values: "Tensor", mask: "Tensor") -> "Tensor":
    """Shift and scale to mean 0 and unbiased variance 1 over the mask's tokens; 0 elsewhere. As in verl.

    Args:
        values: (B, T).
        mask: (B, T), of 0 and 1.

    Returns:
        (B, T).
    """
    count = mask.sum()
    mean = (values * mask).sum() / count.clamp(min=1)
    variance = ((values - mean) ** 2 * mask).sum() / (count - 1).clamp(min=1)
    return (values - mean) * (variance + 1e-8).rsqrt() * mask
