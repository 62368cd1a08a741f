package ballot

// Counts is the number of votes for each choice. Its JSON form is the payload of pushes and of the tally.
type Counts struct {
	Dogs    int64 `json:"dogs"`
	Cats    int64 `json:"cats"`
	Lizards int64 `json:"lizards"`
}

// Of returns the number for one choice, 0 for an unknown one.
func (c Counts) Of(pet Choice) int64 {
	if n := c.field(pet); n != nil {
		return *n
	}
	return 0
}

// Add adds n votes to one choice and ignores an unknown one.
func (c *Counts) Add(pet Choice, n int64) {
	if p := c.field(pet); p != nil {
		*p += n
	}
}

// Total is the sum over all choices.
func (c Counts) Total() int64 { return c.Dogs + c.Cats + c.Lizards }

func (c *Counts) field(pet Choice) *int64 {
	switch pet {
	case Dogs:
		return &c.Dogs
	case Cats:
		return &c.Cats
	case Lizards:
		return &c.Lizards
	}
	return nil
}
