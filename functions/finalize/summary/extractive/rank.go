package extractive

import (
	"context"
	"math"
)

// The parameters of LexRank (Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text
// Summarization", JAIR 22, 2004).
const (
	minSimilarity = 0.1  // of two sentences that vote for each other
	damping       = 0.85 // how much of a sentence's score is votes
	maxRounds     = 50
	precision     = 1e-6
)

// windowSize is how many sentences are compared with each other, each with each. More are ranked by windows, and then
// the best of all windows among themselves.
const windowSize = 400

// text is a conversation as sentences, with what they are made of.
type text struct {
	sentences []sentence
	content   [][]int // by sentence: its terms that mean something, as numbers in order of first appearance
	words     []string
	count     []int // by number of term: how often it is there
	english   bool
}

// newText takes in the sentences. The language is believed only if the words look like it.
func newText(all []sentence, language string) *text {
	t := &text{sentences: all, content: make([][]int, len(all)), english: looksEnglish(all, language)}
	numbers := map[string]int{}
	for i, s := range all {
		for _, word := range s.terms {
			if t.english && meaningless(word) {
				continue
			}
			stem := word
			if t.english {
				stem = singular(word)
			}
			n, ok := numbers[stem]
			if !ok {
				n = len(t.words)
				numbers[stem] = n
				t.words, t.count = append(t.words, stem), append(t.count, 0)
			}
			t.count[n]++
			t.content[i] = append(t.content[i], n)
		}
	}
	return t
}

// rank gives each sentence a score: how central it is, and how much of what it says comes back elsewhere. Only scores
// of sentences that came to the last comparison are more than 0.
func (t *text) rank(ctx context.Context) ([]float64, error) {
	all := make([]int, len(t.sentences))
	for i := range all {
		all[i] = i
	}
	for len(all) > windowSize {
		windows := (len(all) + windowSize - 1) / windowSize
		var kept []int
		for w := range windows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			window := all[w*len(all)/windows : (w+1)*len(all)/windows]
			kept = append(kept, best(window, t.score(window), max(1, len(window)/windows))...)
		}
		all = kept
	}
	scores := make([]float64, len(t.sentences))
	for i, score := range t.score(all) {
		scores[all[i]] = score
	}
	return scores, ctx.Err()
}

// score rates the sentences of a window.
func (t *text) score(window []int) []float64 {
	vectors := t.vectors(window)
	scores := centrality(vectors)
	for i, n := range window {
		scores[i] = (scores[i] + t.salience(n)) * shape(t.sentences[n])
	}
	return scores
}

// salience is how often the words of a sentence are said, from 0 up to about 1.
func (t *text) salience(sentence int) float64 {
	sum := 0.0
	for _, n := range t.content[sentence] {
		sum += math.Log2(float64(t.count[n]))
	}
	return sum / float64(4*max(4, len(t.content[sentence])))
}

// vector is a sentence as its terms, ascending, and their weights, of length 1.
type vector struct {
	terms   []int
	weights []float64
}

// vectors weighs the terms of each sentence by how often they are in it and in how few others.
func (t *text) vectors(window []int) []vector {
	in := map[int]int{} // sentences by term
	vectors := make([]vector, len(window))
	counts := make([]map[int]int, len(window))
	for i, n := range window {
		counts[i] = map[int]int{}
		for _, term := range t.content[n] {
			if counts[i][term]++; counts[i][term] == 1 {
				vectors[i].terms = append(vectors[i].terms, term)
				in[term]++
			}
		}
	}
	for i := range vectors {
		v := &vectors[i]
		length := 0.0
		for _, term := range v.terms {
			w := float64(counts[i][term]) * math.Log(1+float64(len(window))/float64(in[term]))
			v.weights = append(v.weights, w)
			length += w * w
		}
		for k := range v.weights {
			v.weights[k] /= math.Sqrt(length)
		}
	}
	return vectors
}

// centrality is the LexRank of each sentence, the highest being 1.
func centrality(vectors []vector) []float64 {
	votes := similarities(vectors)
	n := float64(len(vectors))
	scores, next := make([]float64, len(vectors)), make([]float64, len(vectors))
	for i := range scores {
		scores[i] = 1 / n
	}
	for range maxRounds {
		change := 0.0
		for i := range next {
			next[i] = (1 - damping) / n
			for _, v := range votes[i] {
				next[i] += damping * v.weight * scores[v.from]
			}
		}
		for i := range next {
			change += math.Abs(next[i] - scores[i])
		}
		scores, next = next, scores
		if change < precision {
			break
		}
	}
	highest := 0.0
	for _, s := range scores {
		highest = max(highest, s)
	}
	for i := range scores {
		scores[i] /= highest
	}
	return scores
}

type vote struct {
	from   int
	weight float64 // of all that the sentence gives, the part that goes here
}

// similarities are the votes that each sentence gets. It looks only at pairs that share a term.
func similarities(vectors []vector) [][]vote {
	type use struct {
		sentence int
		weight   float64
	}
	uses := map[int][]use{}
	votes := make([][]vote, len(vectors))
	given := make([]float64, len(vectors))
	cosine := make([]float64, len(vectors))
	for i, v := range vectors {
		clear(cosine)
		for k, term := range v.terms {
			for _, u := range uses[term] {
				cosine[u.sentence] += v.weights[k] * u.weight
			}
			uses[term] = append(uses[term], use{i, v.weights[k]})
		}
		for j, c := range cosine[:i] {
			if c > minSimilarity {
				votes[i], votes[j] = append(votes[i], vote{j, c}), append(votes[j], vote{i, c})
				given[i], given[j] = given[i]+c, given[j]+c
			}
		}
	}
	for i := range votes {
		for k := range votes[i] {
			votes[i][k].weight /= given[votes[i][k].from]
		}
	}
	return votes
}
