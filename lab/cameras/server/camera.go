package main

import (
	"context"
	"fmt"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
)

const (
	payloadType = 96
	clockRate   = 90000
)

// A camera sends its clip to whoever watches; the time of its stream goes on while the clip begins anew.
type camera struct {
	clip    *clip
	media   *description.Media
	stream  *gortsplib.ServerStream
	encoder *rtph264.Encoder
}

func newCamera(server *gortsplib.Server, name string, clip *clip) (*camera, error) {
	h264 := &format.H264{PayloadTyp: payloadType, SPS: clip.sps, PPS: clip.pps, PacketizationMode: 1}
	encoder, err := h264.CreateEncoder()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	media := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{h264}}
	stream := &gortsplib.ServerStream{
		Server: server,
		Desc:   &description.Session{Title: name, Medias: []*description.Media{media}},
	}
	if err := stream.Initialize(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &camera{clip: clip, media: media, stream: stream, encoder: encoder}, nil
}

// play sends the clip's frames, each at its time, until the context ends.
func (c *camera) play(ctx context.Context) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for count := 0; ; count++ {
		at := float64(count) / c.clip.rate
		timer.Reset(time.Until(start.Add(time.Duration(at * float64(time.Second)))))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := c.send(c.clip.frames[count%len(c.clip.frames)], uint32(uint64(at*clockRate))); err != nil {
			return err
		}
	}
}

func (c *camera) send(frame frame, timestamp uint32) error {
	packets, err := c.encoder.Encode(frame)
	if err != nil {
		return err
	}
	for _, packet := range packets {
		packet.Timestamp = timestamp
		if err := c.stream.WritePacketRTP(c.media, packet); err != nil {
			return err
		}
	}
	return nil
}

func (c *camera) close() {
	c.stream.Close()
}
