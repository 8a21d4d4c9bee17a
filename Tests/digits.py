"""Writes a small learnable data set of IDX files: digits.py FOLDER COUNT. Image i shows digit i % 10 as a bright line and column."""
import pathlib
import random
import struct
import sys

SIDE = 10
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
source = random.Random(1)
images = bytearray()
for index in range(count):
    digit = index % 10
    images += bytes(
        min(255, source.randrange(100) + (150 if digit in (row, column) else 0)) for row in range(SIDE) for column in range(SIDE)
    )
folder.mkdir(exist_ok=True)
(folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, SIDE, SIDE) + images)
(folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + bytes(i % 10 for i in range(count)))
