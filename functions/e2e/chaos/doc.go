// Package chaos breaks the system while people speak to it, and then checks that nothing was lost and nothing was done
// twice: every word in one conversation, every conversation completed once and told once, every word and every second
// counted once; and that nothing at all comes of it when every event is delivered once more.
//
// The functions are the production binaries, several processes of each. What befalls them is drawn from a seed:
// processes are killed, stopped for longer than a lock lasts, and drained; Redis is killed, paused and flushed;
// connections between any two parts are cut, held up and refused, and their answers lost; Firestore fails, and answers
// get lost; Pub/Sub repeats, at once or long after, holds back and turns around. The order of the draws is the seed's
// alone; what they hit depends on the moment.
//
// Some people only speak, and all that they said is looked at. Others use an app meanwhile: they rename what they said,
// have it ended and finalized again, and delete it.
//
// A short run is among the tests; scripts/chaos makes long ones.
package chaos
