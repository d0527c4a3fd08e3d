package main

import (
	"bytes"
	"strings"
	"testing"
)

var (
	delimiter = []byte{0x09, 0xf0}
	pps       = []byte{0x68, 0xee, 0x3c, 0x80}
	// Main profile, 640 x 360, 12.5 frames a second.
	sps = []byte{
		0x67, 0x4d, 0x40, 0x16, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03,
		0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x8f, 0x16, 0x2e, 0x48,
	}
	keyFrame   = []byte{0x65, 0x88, 0x84}
	otherFrame = []byte{0x41, 0x9a, 0x21}
)

func annexB(units ...[]byte) []byte {
	var stream []byte
	for number, unit := range units {
		if number%2 == 0 {
			stream = append(stream, 0)
		}
		stream = append(append(stream, 0, 0, 1), unit...)
	}
	return stream
}

func TestAClipIsSplitIntoFramesAtItsDelimiters(t *testing.T) {
	clip, err := parseClip(annexB(delimiter, sps, pps, keyFrame, delimiter, otherFrame, delimiter, otherFrame))
	if err != nil {
		t.Fatal(err)
	}
	if len(clip.frames) != 3 || len(clip.frames[0]) != 3 || len(clip.frames[1]) != 1 {
		t.Fatalf("frames: %v", clip.frames)
	}
	if !bytes.Equal(clip.frames[0][2], keyFrame) || !bytes.Equal(clip.sps, sps) || !bytes.Equal(clip.pps, pps) {
		t.Fatalf("units: %v", clip.frames)
	}
	if clip.rate != 12.5 {
		t.Fatalf("rate: %v", clip.rate)
	}
}

func TestAClipThatCannotBeServedSaysWhy(t *testing.T) {
	for want, stream := range map[string][]byte{
		"does not begin with an access unit delimiter": annexB(sps, pps, keyFrame),
		"no SPS or no PPS": annexB(delimiter, keyFrame),
		"SPS: ":            annexB(delimiter, sps[:3], pps, keyFrame),
	} {
		if _, err := parseClip(stream); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}
