// Package vad finds speech in a stream of audio and lets only that pass on to the recogniser.
//
// A Gate errs towards passing: a pause that is sent costs a little, a word that isn't is lost. What it makes of
// real speech (the LibriVox clips of Debian's pocketsphinx-testdata, with pauses of 4 s between), with noise added,
// is measured by TestOnNoisySpeech. In percent of the frames of 10 ms:
//
//	            detector                  gate
//	            speech    pause taken     speech    pause
//	            missed    for speech      lost      passed
//	white 60 dB  0.4        0.4           0.00        0.6
//	white 20 dB  1.8        0.0           0.00        0.0
//	white 10 dB  3.9        0.0           0.00        0.0
//	white  5 dB  7.8        0.0           0.00        0.0
//	white  0 dB 16.4        0.0           0.00        0.0
//	pink  20 dB  1.7        0.0           0.00        0.0
//	pink  10 dB  6.5        0.0           0.00        0.0
//	pink   5 dB 13.4        0.0           0.00        0.0
//	pink   0 dB 27.5        0.0           0.05        0.0
//	babble 20 dB 0.4       98.5           0.00      100.0
//	babble 10 dB 0.3       98.7           0.00      100.0
//	babble  5 dB 0.3       99.2           0.00      100.0
//	babble  0 dB 0.0       99.0           0.00      100.0
//
// Words lost by gating are counted through PocketSphinx (scripts/local/sphinx: TestWordsLostByGating and
// BenchmarkWordsInNoise), in the same clips with pauses of 2 s. Wrong words, of 71 (words that nobody said count as
// well), in the very audio that the gate hears:
//
//	             without    with the gate    clean audio, cut alike
//	clean         19         18               18
//	white  20 dB  37         45               18
//	white  10 dB  67         65               18
//	white   5 dB  66         66               18
//	white   0 dB  70         71               18
//	pink   20 dB  31         31               18
//	pink   10 dB  62         64               18
//	pink    5 dB  67         66               18
//	pink    0 dB  70         71               18
//	babble 20 dB  31         31               18
//	babble 10 dB  57         57               18
//	babble  5 dB  77         77               18
//	babble  0 dB  68         68               18
//
// From 10 dB on PocketSphinx understands next to nothing, gate or no gate, so that the first two columns tell little of
// the gate. The last is what tells: the clean audio, cut where the gate cuts the noisy one.
//
// Babble, here ten voices at once, is speech, and is passed as such: whether far voices matter is not for the gate
// to say. A sudden steady noise passes for 1.5 to 3 s, until it is known for one. Clicks don't open the gate.
package vad
