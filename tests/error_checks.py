"""What the tests of error messages share: a message holds each of its parts."""


def assert_says(error: BaseException, *parts: str) -> None:
    text = str(error)
    for part in parts:
        assert part in text, f"{part!r} is not in: {text}"
