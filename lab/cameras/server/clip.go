package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// A frame is one access unit: its NAL units without start codes.
type frame [][]byte

// A clip is what a camera repeats: frames, their rate, and the parameter sets that a client needs first.
type clip struct {
	frames   []frame
	rate     float64
	sps, pps []byte
}

func readClip(path string) (*clip, error) {
	stream, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := parseClip(stream)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parsed, nil
}

// parseClip splits an Annex B stream at its access unit delimiters.
func parseClip(stream []byte) (*clip, error) {
	parsed := &clip{}
	for _, unit := range units(stream) {
		switch h264.NALUType(unit[0] & 0x1f) {
		case h264.NALUTypeAccessUnitDelimiter:
			parsed.frames = append(parsed.frames, nil)
			continue
		case h264.NALUTypeSPS:
			parsed.sps = unit
		case h264.NALUTypePPS:
			parsed.pps = unit
		}
		last := len(parsed.frames) - 1
		if last < 0 {
			return nil, fmt.Errorf("does not begin with an access unit delimiter")
		}
		parsed.frames[last] = append(parsed.frames[last], unit)
	}
	if parsed.sps == nil || parsed.pps == nil {
		return nil, fmt.Errorf("no SPS or no PPS")
	}
	var sps h264.SPS
	if err := sps.Unmarshal(parsed.sps); err != nil {
		return nil, fmt.Errorf("SPS: %w", err)
	}
	if parsed.rate = sps.FPS(); parsed.rate <= 0 {
		return nil, fmt.Errorf("the SPS does not say the frame rate")
	}
	return parsed, nil
}

// units splits at the start codes 000001, of which 00000001 is one with a zero of padding before it.
func units(stream []byte) [][]byte {
	var found [][]byte
	for _, part := range bytes.Split(stream, []byte{0, 0, 1}) {
		if unit := bytes.TrimRight(part, "\x00"); len(unit) > 0 {
			found = append(found, unit)
		}
	}
	return found
}
