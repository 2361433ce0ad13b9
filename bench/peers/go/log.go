package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	rejectedTopic  = "ecommerce.rejected"
	batchMaxBytes  = 1 << 20
	maxBuffered    = 100_000
	headersPerItem = 6
)

// eventLog is Kafka as a storefront's gateway sees it; safe for use by several goroutines.
type eventLog struct {
	client             *kgo.Client
	storefront         string
	topic              string
	source             []byte
	partitions         uint32
	rejectedPartitions uint32
	spread             atomic.Uint32
}

// openLog connects, and pins the partition counts of the topics, which must exist.
func openLog(ctx context.Context, servers, storefront string, linger time.Duration) (*eventLog, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(servers, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent is the default
		kgo.ProducerBatchCompression(kgo.ZstdCompression()),
		kgo.ProducerBatchMaxBytes(batchMaxBytes),
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(maxBuffered),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return nil, err
	}
	log := &eventLog{
		client:     client,
		storefront: storefront,
		topic:      "ecommerce.events." + storefront,
		source:     []byte("/storefronts/" + storefront),
	}
	if log.partitions, err = log.count(ctx, log.topic); err == nil {
		log.rejectedPartitions, err = log.count(ctx, rejectedTopic)
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return log, nil
}

func (l *eventLog) count(ctx context.Context, topic string) (uint32, error) {
	request := kmsg.NewPtrMetadataRequest()
	request.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	answer, err := request.RequestWith(ctx, l.client)
	if err != nil {
		return 0, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) == 0 {
		return 0, fmt.Errorf("topic %s does not exist", topic)
	}
	return uint32(len(answer.Topics[0].Partitions)), nil
}

// publish returns when all of a request's records are acknowledged by all in-sync replicas.
func (l *eventLog) publish(found events, request string) error {
	records := make([]kgo.Record, len(found.good)+len(found.refused))
	l.fill(records[:len(found.good)], found.good, request)
	l.fillRejected(records[len(found.good):], found.refused, request)

	var failure error
	var left atomic.Int32
	done := make(chan struct{})
	left.Store(int32(len(records)))
	settle := func(_ *kgo.Record, err error) {
		if err != nil {
			failure = err // promises are called one after another
		}
		if left.Add(-1) == 0 {
			close(done)
		}
	}
	for i := range records {
		l.client.Produce(context.Background(), &records[i], settle)
	}
	<-done
	return failure
}

// fill makes records in CloudEvents' binary mode.
func (l *eventLog) fill(records []kgo.Record, good []accepted, request string) {
	now := time.Now().UTC().AppendFormat(make([]byte, 0, 24), "2006-01-02T15:04:05.000Z")
	spread := int32(l.spread.Add(1) % l.partitions)
	headers := make([]kgo.RecordHeader, headersPerItem*len(good))
	ids := make([]byte, 0, (len(request)+4)*len(good))
	for i := range good {
		each := &good[i]
		var id []byte
		switch each.kind {
		case "purchase":
			id = digest(l.storefront, each.kind, each.transaction)
		case "refund":
			id = digest(l.storefront, each.kind, each.transaction, string(each.value))
		default:
			start := len(ids)
			ids = strconv.AppendInt(append(append(ids, request...), '-'), int64(each.place), 10)
			id = ids[start:len(ids):len(ids)]
		}
		own := headers[i*headersPerItem : (i+1)*headersPerItem : (i+1)*headersPerItem]
		own[0] = kgo.RecordHeader{Key: "ce_specversion", Value: specVersion}
		own[1] = kgo.RecordHeader{Key: "ce_id", Value: id}
		own[2] = kgo.RecordHeader{Key: "ce_source", Value: l.source}
		own[3] = kgo.RecordHeader{Key: "ce_type", Value: kinds[each.kind].header}
		own[4] = kgo.RecordHeader{Key: "ce_time", Value: now}
		own[5] = kgo.RecordHeader{Key: "content-type", Value: contentType}
		records[i] = kgo.Record{Topic: l.topic, Partition: spread, Value: each.value, Headers: own}
		if each.key != "" {
			records[i].Key = []byte(each.key)
			records[i].Partition = int32(crc32.ChecksumIEEE(records[i].Key) % l.partitions)
		}
	}
}

func (l *eventLog) fillRejected(records []kgo.Record, refused []rejected, request string) {
	name := []byte(l.storefront)
	for i, each := range refused {
		records[i] = kgo.Record{
			Topic:     rejectedTopic,
			Partition: int32(crc32.ChecksumIEEE(name) % l.rejectedPartitions),
			Key:       name,
			Value:     each.value,
			Headers: []kgo.RecordHeader{
				{Key: "storefront", Value: name},
				{Key: "reason", Value: []byte(each.reason)},
				{Key: "client_request", Value: []byte(request)},
			},
		}
	}
}

func (l *eventLog) flush(ctx context.Context) error { return l.client.Flush(ctx) }

func (l *eventLog) close() { l.client.Close() }

var (
	specVersion = []byte("1.0")
	contentType = []byte("application/json")
)

// digest returns 128 bits of SHA-256 in hex; each part is preceded by its length.
func digest(parts ...string) []byte {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write([]byte(part))
	}
	return hex.AppendEncode(nil, hash.Sum(nil)[:idBytes])
}
