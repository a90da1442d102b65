package firestoretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"google.golang.org/protobuf/proto"
)

// disk keeps the present documents of all databases in a file: a bucket for each database, and in it the documents by
// key. A nil disk keeps nothing.
type disk struct {
	file *bolt.DB
}

const (
	// openLimit is how long another process may take to let go of the file.
	openLimit = time.Second
	// clockBucket has the time of the last commit of each database, in microseconds since 1970, by the database's name.
	clockBucket = "clock"
)

// open opens the file, if there shall be one, and takes in what it holds.
func (s *Server) open() error {
	if s.options.File == "" {
		return nil
	}
	file, err := bolt.Open(s.options.File, 0o600, &bolt.Options{Timeout: openLimit})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = errors.New("another process has it open")
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", s.options.File, err)
	}
	s.disk = &disk{file}
	if err := file.View(s.load); err != nil {
		return errors.Join(fmt.Errorf("read %s: %w", s.options.File, err), file.Close())
	}
	return nil
}

func (s *Server) load(tx *bolt.Tx) error {
	clocks := tx.Bucket([]byte(clockBucket))
	if clocks == nil {
		return nil
	}
	return clocks.ForEach(func(name, last []byte) error {
		if len(last) != binary.Size(uint64(0)) {
			return fmt.Errorf("the clock of %s has %d bytes", name, len(last))
		}
		db := s.newDatabase(string(name))
		db.clock.pass(time.UnixMicro(int64(binary.BigEndian.Uint64(last)))) //nolint:gosec // a time that store wrote
		if err := db.load(tx.Bucket(name)); err != nil {
			return err
		}
		db.since = db.clock.tick()
		s.databases[db.name] = db
		return nil
	})
}

func (db *database) load(bucket *bolt.Bucket) error {
	if bucket == nil {
		return fmt.Errorf("%s has no documents", db.name)
	}
	return bucket.ForEach(func(name, data []byte) error {
		var stored pb.Document
		if err := proto.Unmarshal(data, &stored); err != nil {
			return fmt.Errorf("document %q: %w", name, err)
		}
		v := version{at: stored.GetUpdateTime().AsTime(), created: stored.GetCreateTime().AsTime(), fields: stored.GetFields()}
		if v.fields == nil {
			v.fields = fields{}
		}
		db.add(&document{key: key(name), versions: []version{v}})
		return nil
	})
}

// store writes what a commit makes, all of it or nothing. It is in the file when store returns.
func (d *disk) store(db *database, at time.Time, made map[key]version) error {
	if d == nil {
		return nil
	}
	return d.file.Update(func(tx *bolt.Tx) error {
		clocks, err := tx.CreateBucketIfNotExists([]byte(clockBucket))
		if err != nil {
			return err
		}
		last := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())) //nolint:gosec // bits, not a number
		if err := clocks.Put([]byte(db.name), last); err != nil {
			return err
		}
		bucket, err := tx.CreateBucketIfNotExists([]byte(db.name))
		if err != nil {
			return err
		}
		for k, v := range made {
			if err := putDocument(bucket, k, db.proto(k, v, nil), v.exists()); err != nil {
				return err
			}
		}
		return nil
	})
}

// putDocument writes one document, or takes it away.
func putDocument(bucket *bolt.Bucket, k key, d *pb.Document, exists bool) error {
	if !exists {
		return bucket.Delete([]byte(k))
	}
	d.Name = "" // the key says it
	data, err := proto.Marshal(d)
	if err != nil {
		return err
	}
	return bucket.Put([]byte(k), data)
}

func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return d.file.Close()
}
