package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	boundary = "frame"
	// mostFrames bounds the rate that a viewer may ask for, in frames a second.
	mostFrames = 60
)

// endOfImage and startOfImage are adjacent where one JPEG follows another. Inside a JPEG's compressed data every 0xff
// is followed by a zero or a restart marker.
var (
	endOfImage   = []byte{0xff, 0xd9}
	startOfImage = []byte{0xff, 0xd8}
)

// pictures are a clip as JPEGs, each with its headers as one part of a multipart stream, read at the first viewer:
// cameras that nobody watches over HTTP need no memory.
type pictures struct {
	rate  float64
	parts func() ([][]byte, error)
}

// newMJPEG answers GET /mjpeg/CLIP?fps=RATE with the clip's JPEGs, at the viewer's own rate or the clip's. With
// still=true it is the first of them over and over: a camera that looks at a place where nothing moves.
//
// Clips are the folder's files CLIP@RATE.mjpeg: JPEGs one after another, RATE of them a second.
func newMJPEG(folder string) (http.Handler, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.mjpeg"))
	if err != nil {
		return nil, err
	}
	served := make(map[string]*pictures, len(files))
	for _, file := range files {
		name, said, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".mjpeg"), "@")
		rate, err := strconv.ParseFloat(said, 64)
		if err != nil || rate <= 0 {
			return nil, fmt.Errorf("%s: the name does not say a rate, as in street@5.mjpeg", file)
		}
		served[name] = &pictures{rate: rate, parts: sync.OnceValues(func() ([][]byte, error) { return readParts(file) })}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mjpeg/{clip}", func(answer http.ResponseWriter, request *http.Request) {
		found, ok := served[request.PathValue("clip")]
		if !ok {
			http.NotFound(answer, request)
			return
		}
		fps := found.rate
		if said := request.FormValue("fps"); said != "" {
			var err error
			if fps, err = strconv.ParseFloat(said, 64); err != nil || !(fps > 0 && fps <= mostFrames) {
				http.Error(answer, fmt.Sprintf("fps: a number above 0, at most %d", mostFrames), http.StatusBadRequest)
				return
			}
		}
		still := false
		if said := request.FormValue("still"); said != "" {
			var err error
			if still, err = strconv.ParseBool(said); err != nil {
				http.Error(answer, "still: true or false", http.StatusBadRequest)
				return
			}
		}
		parts, err := found.parts()
		if err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		if still {
			parts = parts[:1]
		}
		stream(request.Context(), answer, parts, found.rate, fps)
	})
	return mux, nil
}

// stream sends parts to one viewer until it leaves, fps of them a second.
//
// A part is the one that the clip shows at that time, so a slow viewer sees the same movement as a fast one, with less
// of it between two pictures. A viewer that does not read in time misses pictures, as with a real camera.
func stream(ctx context.Context, answer http.ResponseWriter, parts [][]byte, rate, fps float64) {
	answer.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary="+boundary)
	answer.Header().Set("Cache-Control", "no-store")
	// Without chunks, as cameras send: the stream ends with the connection.
	answer.Header().Set("Transfer-Encoding", "identity")
	control := http.NewResponseController(answer)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	interval := 1 / fps
	for count := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if _, err := answer.Write(parts[shown(float64(count)*interval, rate, len(parts))]); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		count = max(count+1, int(time.Since(start).Seconds()/interval))
		timer.Reset(time.Until(start.Add(time.Duration(float64(count) * interval * float64(time.Second)))))
	}
}

// shown is the place of the picture that a clip of so many pictures shows after so many seconds.
func shown(seconds, rate float64, length int) int {
	// A little more, because the product of a rate and its own interval may be just below a whole number.
	return int(seconds*rate+1e-6) % length
}

func readParts(file string) ([][]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	jpegs, err := splitJPEGs(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	parts := make([][]byte, len(jpegs))
	for place, jpeg := range jpegs {
		head := fmt.Sprintf("--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n", boundary, len(jpeg))
		// One buffer for headers, JPEG and line end: a picture costs one write.
		parts[place] = append(append([]byte(head), jpeg...), '\r', '\n')
	}
	return parts, nil
}

func splitJPEGs(data []byte) ([][]byte, error) {
	if !bytes.HasPrefix(data, startOfImage) || !bytes.HasSuffix(data, endOfImage) {
		return nil, fmt.Errorf("does not begin and end as a JPEG does")
	}
	between := append(append([]byte{}, endOfImage...), startOfImage...)
	var found [][]byte
	for {
		place := bytes.Index(data, between)
		if place < 0 {
			return append(found, data), nil
		}
		end := place + len(endOfImage)
		found = append(found, data[:end])
		data = data[end:]
	}
}

// serveMJPEG listens and serves until the context ends.
func serveMJPEG(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	// Close, because a graceful shutdown would wait for streams that have no end.
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}
