"""Requests that are scored together get what they would get alone."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

import whitecrow as wc
from whitecrow.core.errors import DataError
from whitecrow.data import simulate_traffic
from whitecrow.io.batches import TURN
from whitecrow.server.batching import MicroBatcher, alike, scored
from whitecrow.server.errors import OverloadedError
from whitecrow.server.settings import Settings


class Scorer:
    """Scores a row by its value, notes what it is called with, and waits until it is let go."""

    def __init__(self, *, held=False):
        self.calls = []
        self.threads = set()
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, model, rows):
        self.go.wait(5)
        self.threads.add(threading.current_thread().name)
        self.calls.append((model, rows["x"].to_list()))
        if (rows["x"] < 0).any():
            raise DataError(f"negative: {rows['x'].to_list()}")
        return rows.select(score=pl.col("x") * model)


def batcher(scorer, observe=None, quick=0.0, **settings):
    return MicroBatcher(Settings(**settings), scorer, prepare=lambda model, rows: rows, observe=observe, quick=quick)


def rows(*values):
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64})


async def settled():
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0.002)


async def first_then_others(one, requests):
    """Ask for the first, and for the others once it is being scored; return the tasks."""
    tasks = []
    for model, table in requests:
        tasks.append(asyncio.create_task(one.score(model, table)))
        if len(tasks) == 1:
            await settled()
    await settled()
    return tasks


def test_requests_that_wait_go_together_in_order():
    async def run():
        scorer = Scorer(held=True)
        seen = []
        one = batcher(scorer, observe=lambda requests, n: seen.append((requests, n)))
        tasks = await first_then_others(one, [(10, rows(k, k + 0.5)) for k in range(4)])
        assert one.waiting == 3
        scorer.go.set()
        answers = [answer["score"].to_list() for answer in await asyncio.gather(*tasks)]
        await one.close()
        return answers, scorer, seen

    answers, scorer, seen = asyncio.run(run())
    assert answers == [[0, 5], [10, 15], [20, 25], [30, 35]]
    assert scorer.calls == [(10, [0, 0.5]), (10, [1, 1.5, 2, 2.5, 3, 3.5])]
    assert seen == [(1, 2), (3, 6)]
    assert len(scorer.threads) == 1


def test_few_rows_of_a_model_that_was_quick_are_scored_in_the_event_loop_unless_another_is_scored_there():
    async def run():
        scorer = Scorer()
        one = batcher(scorer, quick=10.0)
        where = []

        async def scored_in(*values):
            scorer.threads.clear()
            answer = await one.score(2, rows(*values))
            assert answer["score"].to_list() == [2 * value for value in values]
            where.append(scorer.threads == {"MainThread"})

        await scored_in(1)  # how long it takes is not known yet
        await scored_in(2)
        await scored_in(*range(65))
        with ThreadPoolExecutor(1) as other:
            other.submit(TURN.acquire).result()
            await scored_in(3)
            other.submit(TURN.release).result()
        await scored_in(4)
        await one.close()
        return where

    assert asyncio.run(run()) == [False, True, False, False, True]


def test_few_rows_of_a_model_that_was_slow_are_scored_in_the_thread():
    async def run():
        scorer = Scorer()
        one = batcher(scorer, quick=1e-9)
        for value in (1, 2):
            await one.score(1, rows(value))
        await one.close()
        return scorer.threads

    assert "MainThread" not in asyncio.run(run())


def test_a_window_gathers_what_comes_before_the_first_call():
    async def run():
        scorer = Scorer()
        one = batcher(scorer, batch_window_ms=20)
        await asyncio.gather(*(one.score(1, rows(k)) for k in range(5)))
        return scorer.calls

    assert asyncio.run(run()) == [(1, [0, 1, 2, 3, 4])]


def test_models_and_schemas_are_never_mixed():
    async def run():
        scorer = Scorer(held=True)
        one = batcher(scorer)
        asked = [(1, rows(0)), (1, rows(1)), (2, rows(2)), (1, rows(3)), (1, pl.DataFrame({"x": [4]})), (2, rows(5))]
        tasks = await first_then_others(one, asked)
        scorer.go.set()
        return [answer["score"].to_list() for answer in await asyncio.gather(*tasks)], scorer.calls

    answers, calls = asyncio.run(run())
    assert answers == [[0], [1], [4], [3], [4], [10]]
    assert calls == [(1, [0]), (1, [1, 3]), (2, [2, 5]), (1, [4])]


def test_a_request_that_fails_fails_alone():
    async def run():
        scorer = Scorer(held=True)
        one = batcher(scorer)
        tasks = await first_then_others(one, [(1, rows(v)) for v in (0, 1, -2, 3, 4, -5, 6)])
        scorer.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(run())
    assert [a["score"][0] for a in answers if isinstance(a, pl.DataFrame)] == [0, 1, 3, 4, 6]
    assert [str(a) for a in answers if isinstance(a, DataError)] == ["negative: [-2.0]", "negative: [-5.0]"]


def test_a_request_that_is_cancelled_is_left_out_and_disturbs_nobody():
    async def run():
        scorer = Scorer(held=True)
        one = batcher(scorer)
        tasks = await first_then_others(one, [(1, rows(v)) for v in (0, 1, 2)])
        tasks[0].cancel()  # it is being scored
        tasks[1].cancel()  # it waits
        await settled()
        scorer.go.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert (await one.score(1, rows(7)))["score"].to_list() == [7]
        return answers, scorer.calls

    answers, calls = asyncio.run(run())
    assert [type(a) for a in answers[:2]] == [asyncio.CancelledError] * 2
    assert answers[2]["score"].to_list() == [2]
    assert calls == [(1, [0]), (1, [2]), (1, [7])]


def test_a_large_table_lets_small_ones_between():
    async def run():
        scorer = Scorer(held=True)
        one = batcher(scorer, batch_rows=2)
        large = asyncio.create_task(one.score(1, rows(*range(7))))
        await settled()
        small = asyncio.create_task(one.score(1, rows(100)))
        await settled()
        scorer.go.set()
        await asyncio.gather(large, small)
        return large.result()["score"].to_list(), [values for _, values in scorer.calls]

    scores, calls = asyncio.run(run())
    assert scores == list(range(7))
    assert calls.index([100]) == 1
    assert max(map(len, calls)) == 2


def test_no_rows_are_scored_like_others():
    async def run():
        return await batcher(Scorer()).score(1, rows())

    assert asyncio.run(run()).shape == (0, 1)


def test_too_many_waiting_and_a_closed_batcher_refuse():
    async def run():
        scorer = Scorer(held=True)
        one = batcher(scorer, max_waiting=2)
        first = asyncio.create_task(one.score(1, rows(0)))
        await settled()
        waiting = [asyncio.create_task(one.score(1, rows(v))) for v in (1, 2)]
        await settled()
        with pytest.raises(OverloadedError):
            await one.score(1, rows(3))
        closing = asyncio.create_task(one.close())
        await settled()
        scorer.go.set()
        await closing
        assert (await first)["score"].to_list() == [0]
        refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in refused] == [OverloadedError] * 2
        with pytest.raises(OverloadedError):
            await one.score(1, rows(4))

    asyncio.run(run())


def test_without_load_waiting_adds_less_than_a_millisecond():
    async def run():
        one = batcher(Scorer())
        await one.score(1, rows(0))
        seconds = []
        for _ in range(50):
            started = time.perf_counter()
            await one.score(1, rows(0))
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    assert asyncio.run(run()) < 1e-3


# ---- with a detector ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traffic():
    return simulate_traffic(rows=600, seed=1).X


@pytest.fixture(scope="module")
def detector(traffic):
    return wc.detector("pca", random_state=0).fit(traffic)


def test_scores_are_those_of_each_row_alone_to_the_last_bit(traffic, detector):
    async def run():
        one = MicroBatcher(Settings())
        asked = [traffic.slice(k, 1 + k % 3) for k in range(30)]
        # Clients write whole numbers where they can, and columns in their own order.
        asked[7] = asked[7].with_columns(pl.col(pl.Float64).round()).select(sorted(traffic.columns))
        asked[8] = asked[8].with_columns(extra=pl.lit("x"), score=pl.lit(9.0))
        answers = await asyncio.gather(*(one.score(detector, each) for each in asked))
        return asked, answers

    asked, answers = asyncio.run(run())
    for each, answer in zip(asked, answers, strict=True):
        assert answer.columns == ["score", "p_value", "is_anomaly"]
        assert answer["score"].to_numpy().tolist() == detector.anomaly_score(each).tolist()
        assert answer["p_value"].to_numpy().tolist() == detector.p_value(each).tolist()
        assert answer["is_anomaly"].to_list() == detector.is_anomaly(each).tolist()


def test_rows_are_brought_into_one_form_that_scores_alike(traffic, detector):
    numbers = [column.name for column in detector.encoder_.columns_ if column.kind == "number"]
    row = traffic.head(3)
    other = row.with_columns(pl.col(numbers).cast(pl.Float64)).select(reversed(traffic.columns))
    assert alike(detector, row).schema == alike(detector, other).schema
    assert scored(detector, alike(detector, row)).equals(scored(detector, row))


def test_a_row_without_a_column_or_with_text_for_a_number_fails_alone(traffic, detector):
    number = next(column.name for column in detector.encoder_.columns_ if column.kind == "number")

    async def run():
        one = MicroBatcher(Settings())
        asked = [traffic.head(1)] * 3
        asked[1] = asked[1].drop(number)
        asked.append(asked[0].with_columns(pl.lit("many").alias(number)))
        return await asyncio.gather(*(one.score(detector, each) for each in asked), return_exceptions=True)

    answers = asyncio.run(run())
    assert [type(answer) for answer in answers] == [pl.DataFrame, DataError, pl.DataFrame, DataError]
    assert number in str(answers[1])
    assert number in str(answers[3])
