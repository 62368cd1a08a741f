package ballot

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestParseChoiceKnowsOnlyTheExactNames(t *testing.T) {
	for _, c := range Choices() {
		if got, err := ParseChoice(string(c)); err != nil || got != c {
			t.Errorf("ParseChoice(%q) = %q, %v", c, got, err)
		}
	}
	for _, name := range []string{"", "dog", "Dogs", " dogs", "dogs\x00", "birds"} {
		if _, err := ParseChoice(name); !errors.Is(err, ErrUnknownChoice) {
			t.Errorf("ParseChoice(%q) = %v, want ErrUnknownChoice", name, err)
		}
	}
}

func TestValidateNamesTheProblem(t *testing.T) {
	good := Vote{ID: uuid.New(), Pet: Cats, CastAt: time.Now()}
	for name, c := range map[string]struct {
		edit func(*Vote)
		want error
	}{
		"complete":               {func(*Vote) {}, nil},
		"unknown pet":            {func(v *Vote) { v.Pet = "birds" }, ErrUnknownChoice},
		"no id":                  {func(v *Vote) { v.ID = uuid.Nil }, ErrInvalidVote},
		"no time":                {func(v *Vote) { v.CastAt = time.Time{} }, ErrInvalidVote},
		"a year beyond RFC 3339": {func(v *Vote) { v.CastAt = v.CastAt.AddDate(10_000, 0, 0) }, ErrInvalidVote},
	} {
		v := good
		c.edit(&v)
		if err := v.Validate(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestCountsAddUpAndKeepTheirJSONShape(t *testing.T) {
	var c Counts
	for i, pet := range Choices() {
		c.Add(pet, int64(i+1))
	}
	c.Add("birds", 100)
	for i, pet := range Choices() {
		if got := c.Of(pet); got != int64(i+1) {
			t.Errorf("Of(%s) = %d, want %d", pet, got, i+1)
		}
	}
	if c.Total() != 6 || c.Of("birds") != 0 {
		t.Errorf("Total() = %d, Of(birds) = %d", c.Total(), c.Of("birds"))
	}
	for _, c := range []Counts{{math.MaxInt64, math.MaxInt64, 5}, {1, math.MaxInt64, 0}, {0, 1, math.MaxInt64 - 1}} {
		if c.Total() != math.MaxInt64 {
			t.Errorf("the total of %+v is %d", c, c.Total())
		}
	}
	b, err := json.Marshal(c)
	if err != nil || string(b) != `{"dogs":1,"cats":2,"lizards":3}` {
		t.Errorf("JSON = %s, %v", b, err)
	}
}

func TestDigitsAreGroupedByThree(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567", -999: "-999", -1000: "-1,000",
	} {
		if got := Digits(n); got != want {
			t.Errorf("Digits(%d) = %q, want %q", n, got, want)
		}
	}
}
