"""Four items in one instruction: intrinsics for the device, and twins that the simulator can run."""

from __future__ import annotations

from typing import Any

from kernels.cuda.launch import SIMULATED

__all__ = ["align_shared", "clear", "copy", "load4"]

if SIMULATED:

    def load4(x, i):
        """Return items i to i + 3."""
        return x[i], x[i + 1], x[i + 2], x[i + 3]

    def align_shared():
        """Do nothing: the simulator's arrays need no alignment."""

    def clear(count: int) -> Any:
        """Return a function that writes zeros into a local array."""

        def fill(x):
            x[:count] = 0

        return fill

    def copy(count: int) -> Any:
        """Return a function that copies one local array to another."""

        def move(to, x):
            to[:count] = x[:count]

        return move

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

    def clear(count: int) -> Any:
        """Return a function that writes zeros into a local array, without a loop: it may stay in registers."""

        @intrinsic  # type: ignore[untyped-decorator]
        def fill(typing: Any, x: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
                for i in range(count):
                    place = builder.gep(data, [ir.Constant(ir.IntType(64), i)])
                    builder.store(ir.Constant(place.type.pointee, 0), place)
                return context.get_dummy_value()

            return types.none(x), generate

        return fill

    def copy(count: int) -> Any:
        """Return a function that copies one local array to another, without a loop: the first stays in registers."""

        @intrinsic  # type: ignore[untyped-decorator]
        def move(typing: Any, to: Any, x: Any) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                pairs = zip(signature.args, arguments, strict=True)
                ends = [context.make_array(kind)(context, builder, value).data for kind, value in pairs]
                for i in range(count):
                    there, here = (builder.gep(data, [ir.Constant(ir.IntType(64), i)]) for data in ends)
                    builder.store(builder.load(here), there)
                return context.get_dummy_value()

            return types.none(to, x), generate

        return move
