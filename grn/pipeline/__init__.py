"""The whole jobs: commands and the Python API both come through here."""

from grn.pipeline.inference import infer_by_method, infer_command
from grn.pipeline.results import write_network
from grn.pipeline.training import Inference, infer, train

__all__ = ["Inference", "infer", "infer_by_method", "infer_command", "train", "write_network"]
