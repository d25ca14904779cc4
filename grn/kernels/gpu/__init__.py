"""Triton kernels. Nothing here is imported before a CUDA device asks for it; `offline` compiles them without one."""
