// Package chaos breaks the system while people speak to it, and then checks that nothing was lost and nothing was done
// twice: every word in one conversation, every conversation completed once and told once, every word counted once.
//
// The functions are the production binaries, several processes of each. What befalls them is drawn from a seed:
// processes are killed, stopped for longer than a lock lasts, and drained; Redis is killed, paused and flushed;
// connections are cut, held up and refused; Firestore fails, and answers get lost; Pub/Sub repeats, holds back and
// turns around. The order of the draws is the seed's alone; what they hit depends on the moment.
//
// A short run is among the tests; scripts/chaos makes long ones.
package chaos
