package pipelinepb

import "fmt"

// Enum pairs the values of an enum of the contract with those of the domain. It is the one
// place that does: both directions read it.
type Enum[P Number, W comparable] struct {
	words   map[P]W
	numbers map[W]P
}

// Number is an enum of the contract.
type Number interface {
	~int32
	fmt.Stringer
}

// NewEnum returns the pairs. UNSPECIFIED and the zero value of the domain are one of them.
func NewEnum[P Number, W comparable](words map[P]W) *Enum[P, W] {
	e := &Enum[P, W]{words: make(map[P]W, len(words)+1), numbers: make(map[W]P, len(words)+1)}
	for number, word := range words {
		e.words[number], e.numbers[word] = word, number
	}
	var none W
	e.words[0], e.numbers[none] = none, 0
	return e
}

// ToProto returns the value on the wire, UNSPECIFIED for one that the contract does not have.
func (e *Enum[P, W]) ToProto(word W) P { return e.numbers[word] }

// undefined is a number that the contract gives to no value of an enum.
const undefined = -1

// setting is ToProto of an enum of settings, whose default UNSPECIFIED stands for. A word that
// the contract does not have becomes a number that it does not have, which the receiver refuses:
// as UNSPECIFIED it would be taken for the default.
func setting[P Number, W ~string](e *Enum[P, W], word W) P {
	if number, ok := e.numbers[word]; ok {
		return number
	}
	return undefined
}

// FromProto returns the value in the domain, and false for one of a newer contract.
func (e *Enum[P, W]) FromProto(number P) (W, bool) {
	word, ok := e.words[number]
	return word, ok
}

// word is FromProto of an enum of words. A number of a newer contract becomes a word, so
// that it is not taken for the default.
func word[P Number, W ~string](e *Enum[P, W], number P) W {
	if w, ok := e.FromProto(number); ok {
		return w
	}
	return W(number.String())
}
