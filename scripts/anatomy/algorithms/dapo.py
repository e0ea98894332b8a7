"""DAPO: GRPO on groups that have a signal, with a wider clip range above and a penalty of long responses.

All three are settings of its preset, which other algorithms may have too: ``refills`` (groups all right or
all wrong are drawn anew), ``overlong``, and ``epsilon_high`` among the options.

Source: DAPO (arXiv 2503.14476), section 3.
"""

from anatomy.algorithms.grpo import Grpo


class Dapo(Grpo):
    """The advantages of GRPO."""
