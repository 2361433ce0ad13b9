// Command peer is a gateway as a Go team would write it: net/http in front, franz-go behind, and between them the same
// validation, the same records and the same promise as Sluice's gateway: 200 means acknowledged by all in-sync replicas.
// Sluice's speed is told as a ratio to it.
//
// Built with -tags sonic it decodes with github.com/bytedance/sonic, else with encoding/json.
//
// It leaves out what Sluice does beside: origins and CORS, content encodings, limits, idempotency keys, metrics, one log
// line per request, deadlines and replacement of a failed producer. All of that is time that only Sluice spends. Two faults it
// takes for good, as Go's decoders do: an `items` that stands twice in one event is mixed of both and, with encoding/json,
// names may be in any case of letters.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

// Four times the live heap before the collector runs: measured, the default costs a tenth of the rate in batches and more
// than this brings nothing.
const gcPercent = 400

const drainSeconds = 10

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	port := flag.Int("port", 0, "port to listen on, on 127.0.0.1")
	servers := flag.String("kafka", "", "bootstrap servers, separated by commas")
	storefront := flag.String("storefront", "", "whose events these are; the topic must exist")
	key := flag.String("key", "", "the storefront's publishable key")
	linger := flag.Duration("linger", time.Millisecond, "how long a batch waits for more records")
	gc := flag.Int("gc", gcPercent, "GOGC")
	flag.Parse()
	debug.SetGCPercent(*gc)

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log, err := openLog(ctx, *servers, *storefront, *linger)
	if err != nil {
		return err
	}
	defer log.close()

	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newGateway(log, *key)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), drainSeconds*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(drain), log.flush(drain))
}
