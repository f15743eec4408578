//! fio ioengine plugin.
