package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
)

// window is how many conversations an app asks for at once.
const window = 50

// step is a request of an app.
type step struct {
	method string
	target string // "": where the Link of the answer before leads, if it has one
	device int    // of the user's
}

// planner makes the requests of one user, the same for the same seed.
type planner struct {
	*rand.Rand
	conversations []string // newest first
	steps         []step
	device        int
	links         bool // the app scrolls by those that Earshot gives; else by offset, as Omi's do
}

// history names the conversations that a user has from before, newest first.
func history(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("c%05d", i)
	}
	return all
}

// plan is what a user does in the app, visit by visit.
func plan(seed uint64, user int, o options) [][]step {
	p := &planner{Rand: rand.New(rand.NewPCG(seed, uint64(user))), conversations: history(o.Conversations)}
	p.links = p.IntN(2) == 0
	visits := make([][]step, o.Visits)
	for i := range visits {
		p.steps = nil
		p.visit()
		visits[i] = p.steps
	}
	return visits
}

func (p *planner) get(target string) { p.do(http.MethodGet, target) }

func (p *planner) do(method, target string) {
	p.steps = append(p.steps, step{method, target, p.device})
}

// visit is from the opening of the app until it is put away.
func (p *planner) visit() {
	p.device = p.IntN(2)
	p.open()
	for range 4 + p.IntN(8) {
		switch n := p.IntN(100); {
		case n < 50:
			p.read()
		case n < 65:
			p.scroll()
		case n < 80:
			p.get("/v1/users/me/usage?period=monthly")
			p.get("/v1/users/me/usage?period=yearly")
		case n < 95:
			p.device = 1 - p.device // and sees how things stand
			p.open()
		default:
			p.change()
		}
	}
}

func (p *planner) open() {
	p.list()
	p.get("/v1/conversations/count")
	p.get("/v1/users/me/usage?period=today")
	p.get("/v1/users/me/subscription")
}

func (p *planner) list() { p.get(fmt.Sprintf("/v1/conversations?limit=%d", window)) }

// scroll goes down the list.
func (p *planner) scroll() {
	p.list()
	for n := 1; n <= 1+p.IntN(3); n++ {
		if p.links {
			p.get("")
		} else {
			p.get(fmt.Sprintf("/v1/conversations?limit=%d&offset=%d", window, n*window))
		}
	}
}

// pick chooses a conversation, rather a new one.
func (p *planner) pick() int {
	return min(int(p.ExpFloat64()*10), len(p.conversations)-1)
}

func (p *planner) path(n int) string { return "/v1/conversations/" + p.conversations[n] }

// read opens a conversation and goes back to the list, which the app asks for again.
func (p *planner) read() {
	path := p.path(p.pick())
	p.get(path)
	if p.IntN(3) == 0 {
		p.get(path + "/finalization")
	}
	p.list()
}

// change renames a conversation, or now and then deletes one, and looks whether it is so, on both devices.
func (p *planner) change() {
	n := p.pick()
	path := p.path(n)
	if p.IntN(4) == 0 && len(p.conversations) > 1 {
		p.do(http.MethodDelete, path)
		p.conversations = append(p.conversations[:n:n], p.conversations[n+1:]...)
	} else {
		p.do(http.MethodPatch, fmt.Sprintf("%s/title?title=T%d", path, p.IntN(1000)))
	}
	for range 2 {
		p.get(path)
		p.list()
		p.device = 1 - p.device
	}
}
