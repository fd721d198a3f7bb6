"""Sixteen bytes in one instruction: packs of 8, 4 or 2 numbers of float16, float32 or float64.

Intrinsics for the device, and twins that the simulator can run.
"""

from __future__ import annotations

from typing import Any

from kernels.cuda.launch import SIMULATED

__all__ = ["load_pack", "store_pack"]

if SIMULATED:

    def load_pack(width: int) -> Any:
        """Return a function of (x, i): items i to i + width - 1 of a one-dimensional array."""
        return lambda x, i: tuple(x[i + lane] for lane in range(width))

    def store_pack(width: int) -> Any:
        """Return a function of (x, i, items) that writes items i to i + width - 1."""

        def store(x: Any, i: int, items: Any) -> None:
            x[i : i + width] = items

        return store

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def _place(context: Any, builder: Any, kind: Any, arguments: Any, width: int) -> tuple[Any, Any]:
        """Return the address of an array's item, (array, i, ...), as that of a vector, and the type of an item."""
        array, i = arguments[:2]
        data = context.make_array(kind)(context, builder, array).data
        item = context.get_data_type(kind.dtype)
        return builder.bitcast(builder.gep(data, [i]), ir.VectorType(item, width).as_pointer()), item

    def load_pack(width: int) -> Any:
        """Return a function of (x, i): items i to i + width - 1 of an array; item i is aligned to 16 bytes."""

        @intrinsic  # type: ignore[untyped-decorator]
        def load(typing: Any, x: Any, i: Any) -> Any:
            signature = types.UniTuple(x.dtype, width)(x, types.int64)

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                place, _ = _place(context, builder, signature.args[0], arguments, width)
                vector = builder.load(place)
                vector.align = 16
                lanes = (ir.Constant(ir.IntType(32), lane) for lane in range(width))
                items = [builder.extract_element(vector, lane) for lane in lanes]
                return context.make_tuple(builder, signature.return_type, items)

            return signature, generate

        return load

    def store_pack(width: int) -> Any:
        """Return a function of (x, i, items) that writes items i to i + width - 1; item i is aligned to 16 bytes."""

        @intrinsic  # type: ignore[untyped-decorator]
        def store(typing: Any, x: Any, i: Any, items: Any) -> Any:
            signature = types.void(x, types.int64, types.UniTuple(x.dtype, width))

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                place, item = _place(context, builder, signature.args[0], arguments, width)
                vector = ir.Constant(ir.VectorType(item, width), ir.Undefined)
                for lane in range(width):
                    value = builder.extract_value(arguments[2], lane)
                    vector = builder.insert_element(vector, value, ir.Constant(ir.IntType(32), lane))
                builder.store(vector, place, align=16)
                return context.get_dummy_value()

            return signature, generate

        return store
