"""Who answers in place of people: menus that ask and announcements that say (IVR)."""
