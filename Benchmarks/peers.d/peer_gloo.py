"""Gloo by way of torch.distributed: peer_gloo.py MEASURE_LIBRARY RANK RANKS STORE_FILE, then what measure.h asks for."""

import ctypes
import sys

import torch
import torch.distributed as distributed


class Call(ctypes.Structure):
    """struct call of measure.h."""

    _fields_ = [
        ("collective", ctypes.c_int), ("in_place", ctypes.c_int), ("input", ctypes.c_void_p), ("output", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    ]


def main():
    library, rank, ranks, store = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=ranks)
    tensors = {}

    def allreduce(call):
        address, count = call[0].output, call[0].count
        # The same few buffers again and again: the view of each is made once.
        tensor = tensors.get((address, count))
        if tensor is None:
            memory = (ctypes.c_float * count).from_address(address)
            tensor = tensors[(address, count)] = torch.frombuffer(memory, dtype=torch.float32)
        distributed.all_reduce(tensor)
        return address

    function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Call))(allreduce)
    arguments = [argument.encode() for argument in sys.argv[5:]]
    measure = ctypes.CDLL(library).measure
    status = measure(rank, ranks, function, None, None, len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
    distributed.destroy_process_group()
    return status


sys.exit(main())
