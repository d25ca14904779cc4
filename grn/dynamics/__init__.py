"""Direction from time: a signed map of what follows what, added to the model's where a gate opens."""

from grn.dynamics.dynamics import Dynamics, check_settings, find_dynamics
from grn.dynamics.gate import Gate, judge
from grn.dynamics.lagged_ridge import lagged_ridge
from grn.dynamics.trajectories import read_trajectories

__all__ = ["Dynamics", "Gate", "check_settings", "find_dynamics", "judge", "lagged_ridge", "read_trajectories"]
