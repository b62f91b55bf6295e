"""From the words of a text to its phrases and what joins them: one pass, by the classes of `lexicon`."""

from __future__ import annotations

from collections.abc import Sequence

from mining.scores.lexicon import (
    ADJECTIVES,
    BASE_VERBS,
    CONJUNCTIONS,
    COPULAE,
    DETERMINERS,
    LONG_PREPOSITIONS,
    NUMBERS,
    ORDERS,
    PREPOSITIONS,
    SKIPPED,
    VERB_FORMS,
    noun_base,
    participle_base,
)

_MARKS = frozenset(',.;:!?()[]{}|/–—"')
_SOFT_MARKS = frozenset(',"')
_CLOSED = _MARKS | CONJUNCTIONS | PREPOSITIONS | DETERMINERS | COPULAE | SKIPPED
_FIRST_OF_LONG = frozenset(words[0] for words, _ in LONG_PREPOSITIONS)
_ENDS = DETERMINERS | PREPOSITIONS | SKIPPED | frozenset(NUMBERS) | _FIRST_OF_LONG
_JOINED = frozenset("and or & ,".split())
#: Before which an order may begin within a text, and orders that say what their object becomes ("make the dog black").
_ORDER_MAY_FOLLOW = frozenset("and but then please , . ; :".split())
_BECOMING = frozenset("make turn paint keep".split())
#: The picture itself, as the subject of an order.
PICTURE = -1


class Parser:
    """Reads the tokens of a text (lower case, words and marks) into `objects`, [(thing, [attribute, …]), …], and
    `relations`, [(number of the subject, predicate, number of the object), …]; `PICTURE` is the subject of orders."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.objects: list[tuple[str, list[str]]] = []
        self.relations: list[tuple[int, str, int]] = []
        self._tokens = tokens
        self._phrase: list[str] = []
        self._subject: int | None = None
        self._predicate = ""
        self._said_of: int | None = None

    def parse(self) -> None:
        """Read all tokens."""
        index = 0
        while index < len(self._tokens):
            token = self._tokens[index]
            index += self._long_preposition(index) if token in _FIRST_OF_LONG else self._one(index, token)
        self._close()
        self._end()

    def _one(self, index: int, token: str) -> int:
        """Read the token there, and how many were read."""
        if token not in _CLOSED:
            if not self._verb(index, token):
                self._phrase.append(token)
            return 1
        if token == "/":
            # "copy/move dialog" is one phrase.
            pass
        elif token in _MARKS or token in CONJUNCTIONS:
            self._join_or_end(index, token)
        elif token in PREPOSITIONS:
            self._relate(token)
        elif token in DETERMINERS:
            self._close()
            # "is a poodle" names a thing, "is black" says something of one.
            if self._said_of is not None and not self._predicate:
                self._subject, self._predicate = self._said_of, "be"
            self._said_of = None
        elif token in COPULAE:
            self._close()
            self._said_of = self._subject
        else:
            self._close()
        return 1

    def _long_preposition(self, index: int) -> int:
        for words, short in LONG_PREPOSITIONS:
            if tuple(self._tokens[index : index + len(words)]) == words:
                self._relate(short)
                return len(words)
        return self._one(index, self._tokens[index])

    def _join_or_end(self, index: int, token: str) -> None:
        """A mark or conjunction: it joins adjectives of one phrase, or ends the phrase."""
        following = self._next(index)
        joins = following in ADJECTIVES or (token != "," and following)
        if joins and token in _JOINED and self._phrase and all(word in ADJECTIVES for word in self._phrase):
            return
        predicate = self._predicate
        shared = self._close()
        if token in CONJUNCTIONS and shared is not None and following not in PREPOSITIONS:
            # "with a dog and a cat" says the same of both.
            self._subject, self._predicate = shared, predicate
        elif token not in _SOFT_MARKS and token in _MARKS:
            self._end()
            self._subject = self._said_of = None

    def _verb(self, index: int, token: str) -> bool:
        """Whether the token is a verb here; if so it is read."""
        following = self._next(index)
        if not self._phrase and token in ORDERS and self._is_order(index, following):
            self._subject, self._predicate, self._said_of = PICTURE, token, None
            return True
        if not self._phrase and self._subject is None:
            return False
        participle = participle_base(token)
        base = participle or VERB_FORMS.get(token)
        if (
            token in BASE_VERBS
            and self._phrase
            and following in _ENDS
            and noun_base(self._phrase[-1]) != self._phrase[-1]
        ):
            # "two dogs sit on": a base form behind a plural.
            base = token
        if base is None or (not self._phrase and self._predicate):
            return False
        alone = not following or following in _MARKS or following in CONJUNCTIONS
        if alone and participle is None:
            return False
        if token not in VERB_FORMS and token not in BASE_VERBS and not alone and following not in _ENDS:
            # "image processing tool": a form of a verb in the midst of a noun.
            return False
        if token not in VERB_FORMS and alone and self._said_of is None:
            return False
        self._close()
        self._said_of = None
        if alone and self._subject is not None and self._subject >= 0:
            self.objects[self._subject][1].append(base)
        else:
            self._predicate = base
        return True

    def _is_order(self, index: int, following: str) -> bool:
        if index == 0:
            return bool(following) and not (
                following in PREPOSITIONS or following in _MARKS or following in CONJUNCTIONS
            )
        return self._tokens[index - 1] in _ORDER_MAY_FOLLOW and (following in DETERMINERS or following in NUMBERS)

    def _relate(self, word: str) -> None:
        """A preposition; after a verb it belongs to that."""
        before = self._predicate
        closed = self._close()
        self._said_of = None
        self._predicate = f"{before} {word}" if before and closed is None else word

    def _close(self) -> int | None:
        """End the phrase: it becomes an object, or attributes of the one that a copula stands with.

        The subject of the relation that this made comes back.
        """
        if not self._phrase:
            return None
        words = [NUMBERS.get(word) or word.removesuffix("'s").removesuffix("’s") for word in self._phrase]
        self._phrase = []
        if self._said_of is not None and not self._predicate:
            self.objects[self._said_of][1].extend(noun_base(word) for word in words)
            self._said_of = None
            return None
        head = next((place for place in range(len(words) - 1, -1, -1) if _is_plain(words[place])), len(words) - 1)
        if self._predicate in _BECOMING:
            while head and words[head] in ADJECTIVES and words[head - 1] not in ADJECTIVES:
                head -= 1
        bases = [noun_base(word) for word in words]
        self.objects.append((bases[head], bases[:head] + bases[head + 1 :]))
        number, subject = len(self.objects) - 1, self._subject
        if self._predicate and subject is not None:
            self.relations.append((subject, self._predicate, number))
        else:
            subject = None
        self._subject, self._predicate = number, ""
        return subject

    def _end(self) -> None:
        """A preposition or verb that nothing follows says something of the thing before it: "lights on"."""
        if self._predicate and self._subject is not None and self._subject >= 0:
            self.objects[self._subject][1].append(self._predicate)
        self._predicate = ""

    def _next(self, index: int) -> str:
        return self._tokens[index + 1] if index + 1 < len(self._tokens) else ""


def _is_plain(word: str) -> bool:
    """Whether a word has no digits: a thing is named by such a one if there is any."""
    return word.isalpha() or not any(sign.isdigit() for sign in word)
