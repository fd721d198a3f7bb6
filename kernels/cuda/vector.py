"""Four items in one instruction: intrinsics for the device, and twins that the simulator can run."""

from __future__ import annotations

from typing import Any

from kernels.cuda.launch import SIMULATED

__all__ = ["align_shared", "load4"]

if SIMULATED:

    def load4(x, i):
        """Return items i to i + 3."""
        return x[i], x[i + 1], x[i + 2], x[i + 3]

    def align_shared():
        """Do nothing: the simulator's arrays need no alignment."""

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def load4(typing: Any, x: Any, i: Any) -> Any:
        """Return items i to i + 3 of a one-dimensional array; item i is aligned to 16 bytes."""
        signature = types.UniTuple(x.dtype, 4)(x, types.int64)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            item = context.get_value_type(signature.args[0].dtype)
            address = builder.gep(array.data, [arguments[1]])
            width = 16 // context.get_abi_sizeof(item)
            vector = ir.VectorType(item, width)
            items = []
            for part in range(4 // width):
                place = builder.gep(address, [ir.Constant(ir.IntType(64), part * width)])
                value = builder.load(builder.bitcast(place, vector.as_pointer()))
                value.align = 16
                items += [builder.extract_element(value, ir.Constant(ir.IntType(32), lane)) for lane in range(width)]
            return context.make_tuple(builder, signature.return_type, items)

        return signature, generate

    @intrinsic  # type: ignore[untyped-decorator]
    def align_shared(typing: Any) -> Any:
        """Align the shared arrays declared so far in this function to 16 bytes, for `load4`."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            for variable in builder.module.global_values:
                if getattr(variable, "addrspace", 0) == 3:
                    variable.align = 16
            return context.get_dummy_value()

        return types.none(), generate
