"""DAPO: GRPO on groups that have a signal, with a wider clip range above and a penalty of long responses.

All of it is settings of its preset, which other algorithms may have too: ``reward`` signed (1 or -1, eq. 7),
``refills`` (groups all right or all wrong are drawn anew, and take no part if they still are, eq. 11),
``overlong`` (eq. 13), and ``epsilon_high`` among the options (eq. 10).

Source: DAPO (arXiv 2503.14476), section 3.
"""

from anatomy.algorithms.grpo import Grpo


class Dapo(Grpo):
    """The advantages of GRPO."""
