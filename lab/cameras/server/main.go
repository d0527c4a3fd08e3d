// Serves every clip of a folder as a camera of the file's name, over and over: by RTSP at the clip's own rate, and as
// MJPEG over HTTP at each viewer's rate.
//
//	server -address :8554 -http :8080 -clips /clips
//
// An RTSP clip, CLIP.h264, is an H.264 elementary stream (Annex B) without B-frames, with access unit delimiters and an
// SPS that says its frame rate. An MJPEG clip, CLIP@RATE.mjpeg, is JPEGs one after another; its URL is
// http://ADDRESS/mjpeg/CLIP?fps=RATE, and with &still=true nothing moves in it. Nothing is decoded or encoded: a camera
// costs what sending its bytes costs.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

func main() {
	address := flag.String("address", ":8554", "the address to listen on, for RTSP over TCP")
	http := flag.String("http", ":8080", "the address to listen on, for MJPEG over HTTP")
	folder := flag.String("clips", "/clips", "the folder of the .h264 and .mjpeg clips")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *address, *http, *folder); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address, httpAddress, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.h264"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no .h264 files", folder)
	}
	mjpeg, err := newMJPEG(folder)
	if err != nil {
		return err
	}
	cameras := make(map[string]*camera, len(files))
	ready := make(chan struct{})
	server := &gortsplib.Server{Handler: &handler{cameras: cameras, ready: ready}, RTSPAddress: address}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Close()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".h264")
		clip, err := readClip(file)
		if err != nil {
			return err
		}
		camera, err := newCamera(server, name, clip)
		if err != nil {
			return err
		}
		defer camera.close()
		cameras["/"+name] = camera
		log.Printf("rtsp %s/%s: %d frames at %.2f a second", address, name, len(clip.frames), clip.rate)
	}
	close(ready)
	failed := make(chan error, len(cameras)+2)
	for _, camera := range cameras {
		go func() { failed <- camera.play(ctx) }()
	}
	go func() { failed <- server.Wait() }()
	go func() { failed <- serveMJPEG(ctx, httpAddress, mjpeg) }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// handler answers the requests of clients: the cameras by path, read only.
type handler struct {
	cameras map[string]*camera
	// A stream belongs to a running server, so a client can be there first: it waits until this is closed.
	ready <-chan struct{}
}

func (h *handler) OnDescribe(request *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.find(request.Path)
}

func (h *handler) OnSetup(request *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.find(request.Path)
}

func (h *handler) OnPlay(request *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	log.Printf("%s plays for %s", request.Path, request.Conn.NetConn().RemoteAddr())
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (h *handler) find(path string) (*base.Response, *gortsplib.ServerStream, error) {
	<-h.ready
	found, ok := h.cameras[strings.TrimSuffix(path, "/")]
	if !ok {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, found.stream, nil
}
