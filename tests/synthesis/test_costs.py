import pytest

from schemas.errors import ConfigurationError
from synthesis.costs import Budget, Price, estimated_tokens, load_prices, tokens_of
from synthesis.requests import Request

ROW = {"prompt_tokens": 1000, "completion_tokens": 50, "messages": "", "image_ids": [], "text": "fine"}


def request(characters=300, most=100):
    return Request("id", "p", "1", "m", {"max_tokens": most}, [{"role": "user", "content": "x" * characters}])


def test_prices_are_by_the_million_tokens():
    assert Price(input=2.0, output=8.0).cost(500_000, 250_000) == pytest.approx(3.0)
    # A million tokens at 1,000 a second are 1,000 s of a GPU of 3.6 an hour.
    served = Price(gpu_hour=3.6, tokens_per_second=1000)
    assert served.cost(10**9, 10**6) == pytest.approx(1.0)
    assert served.gpu_hours(3_600_000) == pytest.approx(1.0)
    assert Price().gpu_hours(5) is None


def test_prices_are_read_from_yaml(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text("qwen: {input: 0.1, output: 0.4}\nlocal: {gpu_hour: 2, tokens_per_second: 500}\n")
    prices = load_prices(str(path))
    assert prices["qwen"] == Price(input=0.1, output=0.4)
    assert prices["local"].tokens_per_second == 500
    assert load_prices(None) == {}
    for text in ("qwen: 3", "qwen: {inptu: 1}", "[", "- a"):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=r"input: 0\.1"):
            load_prices(str(path))
    with pytest.raises(ConfigurationError, match=r"missing\.yaml"):
        load_prices(str(tmp_path / "missing.yaml"))


def test_tokens_that_nobody_counted_are_estimated():
    assert tokens_of(ROW) == (1000, 50)
    unknown = {
        "prompt_tokens": None,
        "completion_tokens": None,
        "messages": "x" * 300,
        "image_ids": ["a"],
        "text": "y" * 30,
    }
    assert tokens_of(unknown) == (estimated_tokens(300, 1), estimated_tokens(30))
    assert estimated_tokens(300) == 101


def test_a_budget_of_requests_ends():
    budget = Budget(requests=2)
    assert [budget.refuse(request()) for _ in range(3)] == [None, None, "max_requests"]
    assert Budget().refuse(request()) is None


def test_a_budget_of_money_is_never_passed():
    price = Price(input=1.0, output=10.0)
    budget = Budget(cost=0.005, price=price)
    first, second = request(), request()
    # Each may cost about 0.00115: four fit at once, and no fifth before one is paid.
    assert [budget.refuse(one) for one in (first, second, request(), request(), request())] == [None] * 4 + ["max_cost"]
    budget.settle(first, {**ROW, "prompt_tokens": 10, "completion_tokens": 1})
    budget.settle(second, {**ROW, "text": None, "error": "timeout"})
    assert budget.refuse(request()) is None
    assert budget.refuse(request()) is None
    assert budget.refuse(request()) == "max_cost"


def test_an_answer_without_text_is_paid_for_and_a_refusal_is_not():
    price = Price(input=1.0, output=10.0)
    budget = Budget(cost=1.0, price=price)
    one = request()
    assert budget.refuse(one) is None
    budget.settle(one, {**ROW, "text": None, "error": None})
    assert budget.cost == pytest.approx(1.0 - 0.0015)
    refused = {**ROW, "text": None, "error": "http_400", "prompt_tokens": None, "completion_tokens": None}
    assert tokens_of(refused) == (0, 0)


def test_what_was_not_sent_is_given_back():
    budget = Budget(requests=1, cost=1.0, price=Price(input=1.0, output=10.0))
    one = request()
    assert budget.refuse(one) is None
    budget.give_back(one)
    assert (budget.requests, budget.cost) == (1, pytest.approx(1.0))


def test_scripts_of_many_tokens_are_not_reckoned_as_english():
    row = {"prompt_tokens": None, "completion_tokens": None, "messages": "桥" * 300, "image_ids": [], "text": "古" * 30}
    assert tokens_of(row) == (301, 31)
    chinese = Request("id", "p", "1", "m", {"max_tokens": 1}, [{"role": "user", "content": "桥" * 900}])
    assert Budget(cost=0.0009, price=Price(input=1.0)).refuse(chinese) == "max_cost"
