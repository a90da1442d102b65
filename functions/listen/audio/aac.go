//go:build aac

package audio

/*
#cgo pkg-config: libavcodec libavutil
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>

typedef struct {
	AVCodecContext *codec;
	AVPacket *packet;
	AVFrame *frame;
} aac_decoder;

static void aac_free(aac_decoder *d) {
	if (d == NULL)
		return;
	avcodec_free_context(&d->codec);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	av_free(d);
}

static aac_decoder *aac_new(void) {
	av_log_set_level(AV_LOG_QUIET); // it would write on standard error
	aac_decoder *d = av_mallocz(sizeof *d);
	const AVCodec *codec = avcodec_find_decoder_by_name("aac");
	if (d == NULL || codec == NULL)
		goto failed;
	d->codec = avcodec_alloc_context3(codec);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (d->codec == NULL || d->packet == NULL || d->frame == NULL)
		goto failed;
	d->codec->thread_count = 1;
	if (avcodec_open2(d->codec, codec, NULL) < 0)
		goto failed;
	return d;
failed:
	aac_free(d);
	return NULL;
}

// aac_send hands over one frame, which is copied: a packet without a buffer of its own always is.
static int aac_send(aac_decoder *d, const uint8_t *data, int size) {
	d->packet->data = (uint8_t *)data;
	d->packet->size = size;
	int err = avcodec_send_packet(d->codec, d->packet);
	d->packet->data = NULL;
	d->packet->size = 0;
	return err;
}

static int aac_receive(aac_decoder *d) {
	int err = avcodec_receive_frame(d->codec, d->frame);
	if (err == AVERROR(EAGAIN))
		return 1; // nothing more
	if (err == 0 && d->frame->format != AV_SAMPLE_FMT_FLTP)
		return AVERROR_INVALIDDATA;
	return err;
}

static int aac_channels(aac_decoder *d) { return d->frame->ch_layout.nb_channels; }

static const float *aac_samples(aac_decoder *d, int channel) {
	return (const float *)d->frame->extended_data[channel];
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// aacSource decodes AAC in ADTS frames to 16 kHz, whatever rate they say they have; channels are mixed down. The
// library's memory is freed when the source is garbage.
type aacSource struct {
	decoder  *C.aac_decoder
	cleanup  runtime.Cleanup
	native   []int16 // of one packet
	rate     int     // of native, in Hz; 0 before the first frame
	resample *resampler
}

func newAACSource() (source, error) {
	a := new(aacSource)
	if err := a.open(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *aacSource) open() error {
	decoder := C.aac_new()
	if decoder == nil {
		return errors.New("make aac decoder: libavcodec has none, or no memory")
	}
	a.decoder = decoder
	a.cleanup = runtime.AddCleanup(a, func(d *C.aac_decoder) { C.aac_free(d) }, decoder)
	return nil
}

func (a *aacSource) decode(dst []int16, packet []byte) ([]int16, error) {
	defer runtime.KeepAlive(a) // else its memory might be freed during the last call
	kept := len(dst)
	for frames := 0; len(packet) > 0; frames++ {
		frame, rest, err := cutADTS(packet)
		if err == nil && frames == adtsMost {
			err = fmt.Errorf("decode aac packet: over %d frames", adtsMost)
		}
		if err == nil {
			dst, err = a.decodeFrame(dst, frame)
			if err != nil && a.decoder != nil { // what is left in it would keep it from taking the next
				C.avcodec_flush_buffers(a.decoder.codec)
			}
		}
		if err != nil {
			return dst[:kept], err
		}
		packet = rest
	}
	return dst, nil
}

// decodeFrame appends what one ADTS frame holds.
func (a *aacSource) decodeFrame(dst []int16, frame []byte) ([]int16, error) {
	if code := C.aac_send(a.decoder, (*C.uint8_t)(&frame[0]), C.int(len(frame))); code < 0 {
		return dst, fmt.Errorf("decode aac frame: libavcodec's error %d", int(code))
	}
	for {
		switch code := C.aac_receive(a.decoder); {
		case code < 0:
			return dst, fmt.Errorf("decode aac frame: libavcodec's error %d", int(code))
		case code > 0:
			return dst, nil
		}
		if err := a.setRate(int(a.decoder.frame.sample_rate)); err != nil {
			return dst, err
		}
		if err := a.mix(); err != nil {
			return dst, err
		}
		if a.resample == nil {
			dst = append(dst, a.native...)
		} else {
			dst = a.resample.append(dst, a.native)
		}
	}
}

// setRate makes the resampler for a rate in Hz; the first frame says which it is, and later ones seldom another.
func (a *aacSource) setRate(rate int) error {
	if rate == a.rate {
		return nil
	}
	bank, ok := banks[rate]
	if !ok {
		return fmt.Errorf("%w: aac at %d Hz, not one of %s", ErrUnsupported, rate, pcmRates())
	}
	a.rate, a.resample = rate, nil
	if rate != SampleRate {
		a.resample = newResampler(bank())
	}
	return nil
}

// mix makes native the mean of the channels of the frame at hand.
func (a *aacSource) mix() error {
	n, channels := int(a.decoder.frame.nb_samples), int(C.aac_channels(a.decoder))
	a.native = a.native[:0]
	for i := range n {
		var sum float32
		for c := range channels {
			sum += unsafe.Slice((*float32)(C.aac_samples(a.decoder, C.int(c))), n)[i]
		}
		if sum != sum {
			return a.startAnew()
		}
		a.native = append(a.native, clip(sum*32768/float32(channels)))
	}
	return nil
}

// startAnew replaces the decoder, since what is no number stays in the filters' memory, and gives the error that
// says so.
func (a *aacSource) startAnew() error {
	a.cleanup.Stop()
	C.aac_free(a.decoder)
	a.decoder = nil
	if err := a.open(); err != nil {
		return err
	}
	return errors.New("decode aac frame: no signal")
}
