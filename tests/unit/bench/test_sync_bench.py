"""The sync benchmark itself, at a size that takes a second; it asserts counts, never times."""

from tests.bench import table
from tests.bench.fleet import QUERIES
from tests.bench.sync import STEPS, measure


async def test_a_fleet_at_rest_costs_one_query_a_signal_and_source_and_no_write():
    result = await measure(roles=100, syncs=3)
    assert result.queries == QUERIES == 5
    assert result.writes == 0
    assert result.first_writes == 50  # the statuses of 50 RbgAutoscalers, once
    assert result.cpu.keys() == STEPS.keys()
    assert "100 roles" in table.syncs([result])
